"""Whether the service is to go on, which its probes and answers tell."""

import time


class Lifecycle:
    """The state of one worker."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.is_stopping = False
