#!/bin/bash
sort -u words.txt -o words.txt
