#!/bin/sh
# rotate.sh [-k COUNT] [-n] FILE...: keep the last COUNT versions of each file: FILE.1 is the newest
COUNT=3
while getopts k:n opt; do
    case $opt in
        k) COUNT=$OPTARG ;;
        n) DRY=1 ;;
    esac
done
for f in $@; do
    i=$COUNT
    while [ $i -gt 1 ]; do
        mv $f.$((i - 1)) $f.$i
        i=$((i - 1))
    done
    mv $f $f.1
done
