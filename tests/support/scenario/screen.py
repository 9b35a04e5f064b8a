"""Lines for a person: colours only on a terminal and without NO_COLOR, and never as the only sign."""

import os
import sys

BOLD, DIM, GREEN, RED, YELLOW = "1", "2", "32", "31", "33"


class Screen:
    def __init__(self, stream=sys.stdout):
        self.stream = stream
        self.terminal = stream.isatty()
        self.colour = self.terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self._open = False

    def paint(self, text, *codes):
        return f"\033[{';'.join(codes)}m{text}\033[0m" if self.colour else text

    def line(self, text=""):
        self._clear()
        print(text, file=self.stream, flush=True)

    def passing(self, text):
        """A line that the next one replaces; nothing when nobody could see it go."""
        if self.terminal:
            self._clear()
            self.stream.write(text)
            self.stream.flush()
            self._open = True

    def _clear(self):
        if self._open:
            self.stream.write("\r\033[K")
            self._open = False
