"""The entry point: ``python cli.py fit --config configs/quickstart.yaml``."""

from dropout_lab.app.main import main

if __name__ == "__main__":
    main()
