#!/bin/bash
printf '#!/bin/sh\necho "hello $1$(cat /app/suffix.txt)"\n' > greet.sh
echo done > /state/implement
