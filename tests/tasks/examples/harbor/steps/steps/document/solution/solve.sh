#!/bin/bash
echo "greet.sh greets: $(cat /state/implement)" > README.md
