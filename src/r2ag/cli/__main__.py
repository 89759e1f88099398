"""`python -m r2ag.cli`: the same as `r2ag`, for `accelerate launch -m r2ag.cli train …`."""

import sys

from r2ag.cli import main

sys.exit(main())
