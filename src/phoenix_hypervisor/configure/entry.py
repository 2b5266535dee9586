"""What a worker process is started with: light, since the parent has to import it as well."""

from multiprocessing.connection import Connection


def enter(packed: bytes, pipe: Connection) -> None:
    """Runs a pickled job in a worker process, where all of this is imported already."""
    from phoenix_hypervisor.configure.worker import main

    main(packed, pipe)
