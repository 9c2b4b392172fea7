#!/bin/bash
wc -w < /app/data/text.txt > /app/count.txt
