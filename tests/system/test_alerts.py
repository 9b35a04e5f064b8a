"""Messages of a whole cluster on their way to people: mail and webhooks while nodes die, receivers are away and daemons start
again. The receivers are those of the component tests, on the machine `client`."""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess

import pytest
from devcluster import wait_until
from devcluster import config as configuration
from scenario.watch import all_well, group_of, wait_status

RECEIVERS = pathlib.Path(__file__).resolve().parents[1] / "component" / "alerts" / "receivers.py"
PASSWORD, SECRET = "kanarie-mail-7781", "kanarie-hook-2203"
ALERTS = """
[alerts.mail]
server = "ADDRESS"
port = 2525
user = "kagami"
password_file = "/etc/kagami/mail.password"
ca_file = "/etc/kagami/mail.crt"
from = "kagami@example.com"
to = ["admin@example.com"]
[[alerts.webhook]]
url = "http://ADDRESS:8088/hook"
secret_file = "/etc/kagami/webhook.secret"
minimum_level = "info"
[[alerts.route]]
message = "starting"
channels = []
"""


class Receiver:
    """receivers.py on the machine `client`; what it took lies in a file that outlives it."""

    def __init__(self, cluster, kind, port, *arguments):
        self.cluster, self.kind, self.port, self.arguments = cluster, kind, port, arguments
        self.out = cluster.paths.top / f"{kind}.out"
        self.process = None

    def start(self):
        self.process = self.cluster.popen(
            "client", ["/usr/bin/python3", "-W", "ignore", RECEIVERS, self.kind, "--out", self.out, "--host",
                       self.cluster.address("client"), "--port", str(self.port), *self.arguments],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = len(self.lines())
        wait_until(lambda: len(self.lines()) > before, 20, f"{self.kind} listens")

    def stop(self):
        self.process.kill()
        self.process.wait(10)

    def lines(self):
        if not self.out.exists():
            return []
        return [json.loads(line) for line in self.out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def taken(self):
        return [line for line in self.lines() if "port" not in line and "refused" not in line]


def bodies(hook):
    return [json.loads(taken["body"]) for taken in hook.taken()]


def mails(mail):
    return [(taken["headers"]["X-Kagami-Message"], taken["headers"]["Message-ID"], taken["text"]) for taken in mail.taken()]


def put_secrets(cluster, certificate):
    for node in cluster.node_names:
        for name, text in (("mail.password", PASSWORD), ("webhook.secret", SECRET)):
            path = cluster.paths.etc(node) / name
            path.write_text(text + "\n")
            path.chmod(0o600)
        (cluster.paths.etc(node) / "mail.crt").write_text(certificate.read_text())


@pytest.fixture
def told(new_cluster, tmp_path):
    """A cluster with its mail server and its web server."""
    receivers = {}

    def prepare(cluster):
        password = tmp_path / "password"
        password.write_text(PASSWORD)
        prefix = str(cluster.paths.top / "receiver")
        receivers["mail"] = Receiver(cluster, "smtp", 2525, "--tls", "starttls", "--certificate", prefix, "--user", "kagami",
                                     "--password-file", password, "--mechanism", "CRAM-MD5")
        receivers["hook"] = Receiver(cluster, "http", 8088)
        for receiver in receivers.values():
            receiver.start()
        put_secrets(cluster, pathlib.Path(prefix + ".crt"))
        text, cluster.scripts = configuration.default(cluster.node_names, True, "lan")
        cluster.config_text = text + ALERTS.replace("ADDRESS", cluster.address("client"))

    cluster = new_cluster(prepare=prepare)
    wait_status(cluster, "node1", all_well, 30, "the cluster whole")
    yield cluster, receivers["mail"], receivers["hook"]
    for receiver in receivers.values():
        receiver.stop()


def sent(check, what, timeout_s=30):
    wait_until(check, timeout_s, what)


def runs_on(node):
    return lambda status: group_of(status)["state"] == "Online" and group_of(status)["current_node"] == node


def test_a_failover_is_told_once_by_mail_and_webhook_and_no_secret_is_seen(told):
    cluster, mail, hook = told
    sent(lambda: any(body["name"] == "active" for body in bodies(hook)), "the start of group web, told by webhook")
    owner = group_of(cluster.cluster_status())["current_node"]
    other = "node2" if owner == "node1" else "node1"
    cluster.kill(owner)
    wait_status(cluster, other, runs_on(other), 30, "group web on the other node")
    sent(lambda: any(code == "KG-0302" for code, _, _ in mails(mail)), "a mail about the failover")
    sent(lambda: any(body["name"] == "active" and body["node"] == other for body in bodies(hook)), "the other start")
    told_by_hook = bodies(hook)
    assert not [body for body in told_by_hook if body["name"] == "starting"], "its route leads nowhere"
    assert len({body["id"] for body in told_by_hook}) == len(told_by_hook), "nothing is sent twice"
    failover = [body for body in told_by_hook if body["message"] == "KG-0302"]
    assert [(body["node"], body["object"], body["level"]) for body in failover] == [(other, "group web", "warning")]
    assert len({identity for _, identity, _ in mails(mail)}) == len(mails(mail))
    assert [text.startswith(failover[0]["text"]) for code, _, text in mails(mail) if code == "KG-0302"] == [True]
    assert all(taken["encrypted"] and taken["login"] == "kagami" for taken in mail.taken())
    for taken in hook.taken():
        right = hmac.new(SECRET.encode(), taken["body"].encode(), hashlib.sha256).hexdigest()
        assert taken["headers"]["x-kagami-signature"] == "sha256=" + right
    no_secret_in_files(cluster, other, mail, hook)


def no_secret_in_files(cluster, node, *receivers):
    """Not in logs, state, nor in what the programs say; only the files of root hold them."""
    own = {receiver.out for receiver in receivers} | {cluster.paths.switch}
    words = [word.encode() for word in (PASSWORD, SECRET)]
    words += [base64.b64encode(word) for word in words]
    for path in cluster.paths.top.rglob("*"):
        if path.is_file() and path not in own and path.name not in ("mail.password", "webhook.secret"):
            content = path.read_bytes()
            assert not [word for word in words if word in content], path
    said = cluster.kagami(node, "config", "show").stdout + cluster.kagami(node, "log").stdout
    assert not [word for word in words if word.decode() in said]


def test_receivers_that_are_away_cost_a_failover_nothing_and_get_everything_later(told):
    cluster, mail, hook = told
    owner = group_of(cluster.cluster_status())["current_node"]
    other = "node2" if owner == "node1" else "node1"
    sent(lambda: any(body["name"] == "active" for body in bodies(hook)), "the start of group web, told by webhook")
    hook.stop()  # its port answers with a reset; the mail server's packets are lost
    for node in cluster.node_names:
        cluster.cut("client", node)
    before = len(mails(mail))
    moment = cluster.kill(owner)
    seen = wait_status(cluster, other, runs_on(other), 30, "group web on the other node")
    assert seen - moment < 6, "a failover takes as long as without receivers"
    cluster.exec(other, ["/bin/sh", "-c", "kill -9 $(pidof kagamid)"])  # what waits outlives the daemon
    wait_status(cluster, other, runs_on(other), 30, "the daemon again")
    assert len(mails(mail)) == before
    cluster.heal()
    hook.start()
    sent(lambda: any(code == "KG-0302" for code, _, _ in mails(mail)), "the mail about the failover", 90)
    sent(lambda: any(body["message"] == "KG-0302" for body in bodies(hook)), "the webhook about the failover", 90)
    assert len([code for code, _, _ in mails(mail) if code == "KG-0302"]) == 1
    assert len({body["id"] for body in bodies(hook)}) == len(bodies(hook))


def test_alerts_of_a_new_configuration_are_used_at_once(told):
    cluster, mail, hook = told
    etc = cluster.paths.etc("node1")
    old, new = 'message = "starting"\nchannels = []', 'message = "group-move-started"\nchannels = ["mail"]'
    (etc / "next.toml").write_text((etc / "cluster.toml").read_text().replace(old, new))
    done = cluster.exec("node1", ["kagami", "config", "apply", "/etc/kagami/next.toml", "--yes", "--wait", "--timeout", "30s"])
    assert done.returncode == 0, done.stderr
    active = [cluster.paths.var(node) / "active" / "cluster.toml" for node in cluster.node_names]
    wait_until(lambda: all(new in path.read_text() for path in active), 20, "the new configuration on both nodes")
    cluster.kagami("node1", "group", "move", "web", "--wait")
    sent(lambda: any(code == "KG-0301" for code, _, _ in mails(mail)), "a mail about the move, which is an info")
    sent(lambda: any(body["name"] == "starting" for body in bodies(hook)), "the start, which has no route any more")
    assert not [body for body in bodies(hook) if body["message"] == "KG-0301"]


def test_a_person_sends_a_message_of_his_own(told):
    cluster, mail, hook = told
    cluster.kagami("node2", "notify", "The backup\nfailed.", "--level", "WARN", "--id", "7")
    sent(lambda: any(code == "KU-0007" and text.startswith("The backup\\x0afailed.") for code, _, text in mails(mail)), "the mail")
    sent(lambda: any((body["message"], body["node"]) == ("KU-0007", "node2") for body in bodies(hook)), "the webhook")
    assert "KU-0007" in cluster.kagami("node2", "log", "--json").stdout
    cluster.kagami("node2", "notify", "By webhook only.", "--level", "ERROR", "--to", "webhook")
    sent(lambda: any(body["text"] == "By webhook only." for body in bodies(hook)), "the webhook alone")
    assert not [text for _, _, text in mails(mail) if text.startswith("By webhook")]
    refused = cluster.exec("node2", ["kagami", "notify", "x", "--to", "post"])
    assert refused.returncode == 2 and '"post" is not one of alert' in refused.stderr


def test_a_route_of_an_unknown_message_is_refused_with_its_place(told):
    cluster, _, _ = told
    etc = cluster.paths.etc("node1")
    text = (etc / "cluster.toml").read_text().replace('"starting"', '"startng"')
    (etc / "bad.toml").write_text(text)
    done = cluster.exec("node1", ["kagami", "config", "check", "/etc/kagami/bad.toml"])
    assert done.returncode == 2
    assert 'unknown message "startng"; did you mean "starting"?' in done.stdout + done.stderr
