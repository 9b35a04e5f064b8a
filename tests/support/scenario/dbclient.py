"""Runs in the client machine: commits numbered rows through the floating address, one after the other, and says which of them
were acknowledged.

Lines on stdout (JSON): {"n", "wall", "ms", "server"} for each acknowledged commit; {"error", "wall"} for an attempt that
failed. A statement without an answer for PATIENCE_S is left pending on its connection, and the next number goes on over
a new one: its outcome is unknown until its answer comes late, or never. Ends at the end of stdin.
With `present` as argument: prints every number that the table holds, one a line, and ends.
"""

import json
import select
import sys
import time

import psycopg2

INTERVAL_S = 0.005
PATIENCE_S = 0.4
CONNECT_S = 0.3
MOST_PENDING = 6
TABLE = "CREATE TABLE IF NOT EXISTS commits (n bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
LAST = "SELECT coalesce(max(n), 0) FROM commits"
INSERT = "INSERT INTO commits (n) VALUES (%s) RETURNING current_setting('cluster_name')"


class NoAnswer(Exception):
    pass


def wait(connection, seconds):
    """Drives an asynchronous connection until its present step is done."""
    deadline = time.monotonic() + seconds
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise NoAnswer(f"no answer within {seconds:g} s")
        reads, writes = ([connection], []) if state == psycopg2.extensions.POLL_READ else ([], [connection])
        select.select(reads, writes, [], left)


class Client:
    def __init__(self, host):
        self.host = host
        self.connection = None
        self.pending = []  # [(n, sent, connection, cursor)]: no answer yet
        self.n = 0
        self.table = False

    def connect(self):
        self.connection = psycopg2.connect(host=self.host, user="postgres", dbname="postgres", async_=True)
        wait(self.connection, CONNECT_S)
        if not self.table:
            cursor = self.connection.cursor()
            cursor.execute(TABLE)
            wait(self.connection, 10)
            cursor.execute(LAST)  # of an earlier client
            wait(self.connection, 10)
            self.n = cursor.fetchone()[0]
            self.table = True

    def commit(self):
        """One commit with the next number."""
        if self.connection is None:
            self.connect()
        self.n += 1
        cursor = self.connection.cursor()
        sent = time.time()
        cursor.execute(INSERT, (self.n,))
        try:
            wait(self.connection, PATIENCE_S)
        except NoAnswer:
            self.pending.append((self.n, sent, self.connection, cursor))
            self.connection = None
            raise
        self.acknowledged(self.n, sent, cursor)

    def acknowledged(self, n, sent, cursor):
        now = time.time()
        say({"n": n, "wall": now, "ms": round((now - sent) * 1000, 2), "server": cursor.fetchone()[0]})

    def look_after_pending(self):
        left = []
        for item in self.pending:
            n, sent, connection, cursor = item
            try:
                wait(connection, 0)
                self.acknowledged(n, sent, cursor)
                connection.close()
            except NoAnswer:
                left.append(item)
            except psycopg2.Error:
                connection.close()
        for _, _, connection, _ in left[:-MOST_PENDING]:
            connection.close()
        self.pending = left[-MOST_PENDING:]

    def round(self):
        begun = time.monotonic()
        try:
            self.commit()
        except (NoAnswer, psycopg2.Error) as error:
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            say({"error": str(error).strip().splitlines()[0] if str(error).strip() else "connection lost", "wall": time.time()})
        self.look_after_pending()
        return max(0.0, begun + INTERVAL_S - time.monotonic())


def say(record):
    print(json.dumps(record), flush=True)


def present(host):
    with psycopg2.connect(host=host, user="postgres", dbname="postgres", connect_timeout=5) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT n FROM commits ORDER BY n")
            for row in cursor:
                print(row[0])


def main():
    host = sys.argv[1]
    if sys.argv[2:] == ["present"]:
        return present(host)
    client = Client(host)
    while not select.select([sys.stdin], [], [], client.round())[0]:
        pass


if __name__ == "__main__":
    main()
