"""cluster.toml of a development cluster, and the group `web` that it runs unless the caller brings a configuration."""

from . import layout

FLOATING = "10.77.1.100"

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


def default(nodes, witness, profile, mirror=False):
    """(cluster.toml, scripts) when the caller gives none."""
    group, scripts = web_group(nodes)
    return base(nodes, witness, profile, mirror) + group, scripts
