"""`python -m sparselrp_cli` is `sparselrp`."""

from sparselrp_cli.cli.main import main

if __name__ == "__main__":
    main()
