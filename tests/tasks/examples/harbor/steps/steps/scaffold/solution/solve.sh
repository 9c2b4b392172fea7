#!/bin/bash
printf '#!/bin/sh\necho "hello $1"\n' > greet.sh
chmod +x greet.sh
