#!/bin/bash
. /tests/common.sh
score [ "$(/app/greet.sh "$NAME")" = "hello $NAME" ]
