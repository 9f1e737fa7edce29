"""``python -m dropout_lab``: the same as ``dropout-lab``."""

import sys

if not sys.flags.safe_path:
    # Python looks in the current folder first; a file of the user's that is called yaml.py is not the library.
    sys.path.append(sys.path.pop(0))

from dropout_lab.app.main import main

if __name__ == "__main__":
    main()
