"""`python -m mathwright.cli`, where the script of the installation is not at hand."""

from mathwright.cli import main

if __name__ == "__main__":
    main()
