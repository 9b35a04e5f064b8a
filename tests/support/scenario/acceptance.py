"""The data of the acceptance evaluation: a row is committed in each of the two databases after each step, and every row of the
steps before must still be there. Run by `kagami accept --check`: acceptance.py DIRECTORY STEP."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from devcluster import DevCluster, config, wait_until  # noqa: E402

ANSWER_S = 30
MAKE = "CREATE TABLE IF NOT EXISTS steps (n integer PRIMARY KEY)"


def psql(cluster, group, *statements):
    port = 5440 + list(config.ACCEPTANCE).index(group)
    words = [word for statement in statements for word in ("-c", statement)]
    command = ["/usr/bin/psql", "-qAtX", "-h", config.ACCEPTANCE_FLOATING[group], "-p", str(port), "-U", "postgres", "-v",
               "ON_ERROR_STOP=1", *words]
    # The group is Online once PostgreSQL was started; it may still recover.
    wait_until(lambda: cluster.exec("client", [*command[:10], "-c", "SELECT 1"]).returncode == 0, ANSWER_S, f"PostgreSQL of group {group}")
    done = cluster.exec("client", command)
    if done.returncode != 0:
        raise SystemExit(f"group {group}: {done.stderr}")
    return done.stdout.split()


def running(cluster):
    """Groups that are Online, as the first node that answers says."""
    for node in ("node1", "node2"):
        done = cluster.exec(node, ["kagami", "status", "--json"]) if cluster.is_running(node) else None
        if done is not None and done.returncode == 0:
            return [group["name"] for group in json.loads(done.stdout)["groups"] if group["state"] == "Online"]
    return []


def main():
    directory, step = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    cluster = DevCluster.open(str(directory))
    notes = directory / "acceptance.json"
    committed = json.loads(notes.read_text()) if notes.exists() else {}
    for group in config.ACCEPTANCE:
        if group not in running(cluster):
            continue
        rows = psql(cluster, group, MAKE, f"INSERT INTO steps VALUES ({step})", "SELECT n FROM steps ORDER BY n")
        committed[group] = [*committed.get(group, []), step]
        if [int(row) for row in rows] != committed[group]:
            raise SystemExit(f"group {group}: committed {committed[group]}, found {rows}")
    notes.write_text(json.dumps(committed))


if __name__ == "__main__":
    main()
