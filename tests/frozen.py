"""What a fork server imports last: all that it holds by then stays out of its children's garbage collections.

A collection writes to every object that it looks at, so that a child would get a copy of all of PyTorch's pages with
its first one.
"""

import gc

gc.collect()
gc.freeze()
