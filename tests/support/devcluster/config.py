"""cluster.toml of a development cluster, and the group `web` that it runs unless the caller brings a configuration."""

from . import layout

FLOATING = "10.77.1.100"
DB_FLOATING = "10.77.1.101"
DISK_BYTES = 1 << 30  # of the mirror disk's data on each side
METADATA_BYTES = 32 << 20
DISKS = {"md1.data": DISK_BYTES, "md1.meta": METADATA_BYTES}  # under layout.DISK_DIRECTORY of every node

# Of a benchmark: a light service with a mirror disk in its group.
WEB_MIRROR = """
[[group.resource]]
type = "md"
name = "md2"
mount = "/mnt/web"
data = "DISKS/md2.data"
metadata = "DISKS/md2.meta"
port = 29012
"""
WEB_DISKS = {"md2.data": 64 << 20, "md2.meta": METADATA_BYTES}

WEB_GROUP = """
[[group]]
name = "web"
nodes = [NODES]
[[group.resource]]
type = "fip"
name = "fip1"
address = "FLOATING/24"
[[group.resource]]
type = "exec"
name = "nginx"
start_mode = "async"
start_timeout = "20s"
stop_timeout = "20s"
[[monitor]]
type = "pidw"
name = "nginx-alive"
target = "nginx"
on_error = { script = 0, restart = 3, failover = 1, final = "no-operation" }
"""

# It listens on every address, so that a test can also ask a node on its own address whether the service runs there.
WEB_START = """#!/bin/sh
set -e
dir=/run/kagami-web  # on the node's tmpfs: gone after a loss of power
mkdir -p $dir
cat >$dir/nginx.conf <<CONF
user root;
worker_processes 1;
pid $dir/nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    server { listen 80; return 200 "$(hostname)\\n"; }
}
CONF
exec /usr/sbin/nginx -c $dir/nginx.conf -g 'daemon off;'
"""

WEB_STOP = """#!/bin/sh
pid=$(cat /run/kagami-web/nginx.pid 2>/dev/null) || exit 0
kill -TERM "$pid" 2>/dev/null || exit 0
while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
"""


DB_GROUP = """
[[group]]
name = "db"
nodes = [NODES]
[[group.resource]]
type = "md"
name = "md1"
mount = "/mnt/db"
filesystem = "ext4"
data = "DISKS/md1.data"
metadata = "DISKS/md1.meta"
[[group.resource]]
type = "fip"
name = "fip2"
address = "FLOATING/24"
[[group.resource]]
type = "exec"
name = "postgres"
start_mode = "async"
start_timeout = "60s"
stop_timeout = "60s"
[[monitor]]
type = "pidw"
name = "postgres-alive"
target = "postgres"
on_error = { script = 0, restart = 3, failover = 1, final = "no-operation" }
[[monitor]]
type = "mdw"
name = "mdw1"
target = "md1"
[[monitor]]
type = "mdnw"
name = "mdnw1"
target = "md1"
"""

# The program itself is the service. Its data lies in a directory of the mirror disk, made once. The group runs on one node
# only, and nothing of it is left when this script starts, so a postmaster.pid is an old one.
DB_START = """#!/bin/sh
set -e
bin=/usr/lib/postgresql/15/bin
data=/mnt/db/pgdata
run=/run/kagami-db
as_postgres="setpriv --reuid=postgres --regid=postgres --init-groups --"
install -d -o postgres -g postgres -m 0755 $run
if [ ! -s $data/PG_VERSION ]; then
    rm -rf $data.new
    install -d -o postgres -g postgres -m 0700 $data.new
    $as_postgres $bin/initdb -D $data.new --data-checksums -U postgres -A trust >&2
    echo "host all all 10.77.1.0/24 trust" >>$data.new/pg_hba.conf
    sync -f $data.new
    mv $data.new $data
fi
rm -f $data/postmaster.pid
exec $as_postgres $bin/postgres -D $data -c listen_addresses='*' -c unix_socket_directories=$run \\
    -c cluster_name="$(hostname)" -c logging_collector=off
"""

DB_STOP = """#!/bin/sh
data=/mnt/db/pgdata
as_postgres="setpriv --reuid=postgres --regid=postgres --init-groups --"
$as_postgres /usr/lib/postgresql/15/bin/pg_ctl status -D $data >/dev/null || exit 0  # it has ended by itself
exec $as_postgres /usr/lib/postgresql/15/bin/pg_ctl stop -D $data -m fast -t 50
"""


def base(nodes, witness, profile, mirror=False, name="dev"):
    """[cluster], networks, nodes and arbitration; groups are appended by the caller."""
    networks = ["net1", "net2"] + ["mirror"] * mirror
    lines = ["[cluster]", f'name = "{name}"', f'profile = "{profile}"', ""]
    for network in networks:
        lines += ["[[network]]", f'name = "{network}"']
        if network == "mirror":
            lines.append('use = ["mirror"]')
    for node in nodes:
        lines += ["", "[[node]]", f'name = "{node}"', f"address = {addresses(node, networks)}"]
    lines += ["", "[arbitration]"]
    if witness:
        where = addresses(layout.WITNESS, ["net1", "net2"])
        lines += ['option = "witness"', f'witness = [{{ kind = "server", address = {where} }}]']
    else:
        lines.append('option = "tie"')
    return "\n".join(lines) + "\n"


def addresses(machine, networks):
    return "{ " + ", ".join(f'{n} = "{layout.address(machine, n)}"' for n in networks) + " }"


def web_group(nodes):
    """(text for cluster.toml, scripts): floating address -> nginx, with a process monitor."""
    text = WEB_GROUP.replace("NODES", ", ".join(f'"{node}"' for node in nodes)).replace("FLOATING", FLOATING)
    return text, {"web/nginx/start.sh": WEB_START, "web/nginx/stop.sh": WEB_STOP}


def db_group(nodes):
    """(text for cluster.toml, scripts): mirror disk -> floating address -> PostgreSQL, with its monitors."""
    text = DB_GROUP.replace("NODES", ", ".join(f'"{node}"' for node in nodes)).replace("FLOATING", DB_FLOATING)
    text = text.replace("DISKS", layout.DISK_DIRECTORY)
    return text, {"db/postgres/start.sh": DB_START, "db/postgres/stop.sh": DB_STOP}


def database(nodes, profile, more=""):
    """(cluster.toml, scripts) of the demo: groups db and web, a third network for the mirror, a witness. `more`: lines of
    [cluster]."""
    text = base(nodes, True, profile, mirror=True).replace("[cluster]\n", f"[cluster]\n{more}")
    groups = [db_group(nodes), web_group(nodes)]
    return text + "".join(group for group, _ in groups), {name: body for _, scripts in groups for name, body in scripts.items()}


def mirrored(nodes, profile, more=""):
    """As database(), with a mirror disk in group web as well; its disks are {**DISKS, **WEB_DISKS}."""
    text, scripts = database(nodes, profile, more)
    web = WEB_MIRROR.replace("DISKS", layout.DISK_DIRECTORY)
    return text.replace('type = "fip"\nname = "fip1"', web.removeprefix("\n[[group.resource]]\n") +
                        '[[group.resource]]\ntype = "fip"\nname = "fip1"'), scripts


def dummies(nodes, profile, groups):
    """(cluster.toml, scripts) with that many groups of one dummy resource."""
    order = ", ".join(f'"{node}"' for node in nodes)
    text = base(nodes, True, profile)
    for number in range(1, groups + 1):
        text += f"""
[[group]]
name = "g{number}"
nodes = [{order}]
[[group.resource]]
type = "dummy"
name = "d{number}"
"""
    return text, {}


# Of the acceptance evaluation: groups A and B, each a mirror disk -> a floating address -> PostgreSQL on it, and the management
# group T.
ACCEPTANCE = {"A": ("node1", "node2"), "B": ("node2", "node1")}
ACCEPTANCE_FLOATING = {"A": "10.77.1.111", "B": "10.77.1.112", "T": "10.77.1.110"}
ACCEPTANCE_DISKS = {f"md{group}.{part}": size for group in ACCEPTANCE
                    for part, size in (("data", 192 << 20), ("meta", METADATA_BYTES))}


def acceptance_group(group, number, start):
    """db_group() under another name, in the group's own order of nodes."""
    names = {'"db"': f'"{group}"', '"md1"': f'"md{group}"', "md1.": f"md{group}.", "/mnt/db": f"/mnt/{group}", '"fip2"': f'"fip{group}"',
             '"postgres"': f'"pg{group}"', '"postgres-alive"': f'"pg{group}-alive"', '"mdw1"': f'"mdw{group}"',
             '"mdnw1"': f'"mdnw{group}"', DB_FLOATING: ACCEPTANCE_FLOATING[group]}
    text, scripts = db_group(ACCEPTANCE[group])
    for old, new in names.items():
        text = text.replace(old, new)
    text = text.replace("nodes = [", f'start = "{start}"\nnodes = [', 1)
    text = text.replace(f'metadata = "{layout.DISK_DIRECTORY}', f'port = {29020 + number}\nmetadata = "{layout.DISK_DIRECTORY}', 1)
    bodies = {name.replace("db/postgres", f"{group}/pg{group}"): body.replace("/mnt/db", f"/mnt/{group}").replace("kagami-db", f"kagami-{group}")
              .replace("logging_collector=off", f"logging_collector=off -c port={5440 + number}") for name, body in scripts.items()}
    return text, bodies


def acceptance(nodes, profile, manual):
    """(cluster.toml, scripts) of the evaluation, for its automatic or its manual variant; disks: ACCEPTANCE_DISKS."""
    more = "auto_return = false\n" if manual else ""
    text = base(nodes, True, profile, mirror=True).replace("[cluster]\n", f"[cluster]\n{more}")
    text += f"""
[[group]]
name = "T"
kind = "management"
nodes = ["node1", "node2"]
[[group.resource]]
type = "fip"
name = "fipT"
address = "{ACCEPTANCE_FLOATING['T']}/24"
"""
    scripts = {}
    for number, group in enumerate(ACCEPTANCE):
        part, bodies = acceptance_group(group, number, "manual" if manual else "auto")
        text += part
        scripts |= bodies
    return text, scripts


def default(nodes, witness, profile, mirror=False):
    """(cluster.toml, scripts) when the caller gives none."""
    group, scripts = web_group(nodes)
    return base(nodes, witness, profile, mirror) + group, scripts
