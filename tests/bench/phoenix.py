"""Phoenix's command line with the features of tests/bench/features beside its own.

Worker processes import this file again, since it is their parent's main program.
"""

from pathlib import Path

from phoenix_hypervisor import features

features.__path__.append(str(Path(__file__).with_name("features")))

if __name__ == "__main__":
    from phoenix_hypervisor.cli.main import main

    main()
