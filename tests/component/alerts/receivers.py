"""A mail server or a web server that tests send alerts to. Every message it takes is one JSON line in OUT, which begins with
{"port": N} once it listens.

receivers.py smtp|http --out FILE [--host ADDRESS] [--port N] [--answers CODE,...] [--tls starttls|tls --certificate PREFIX]
             [--user NAME --password-file FILE --mechanism PLAIN|LOGIN|CRAM-MD5] [--silent]

--answers  codes for the first messages (0 = the connection is closed), then all is well
--silent   takes the connection, and says nothing
PREFIX.crt and PREFIX.key are made when they are missing.
"""

import argparse
import asyncio
import base64
import email
import email.policy
import hmac
import json
import logging
import pathlib
import secrets
import ssl
import subprocess

from aiosmtpd.smtp import SMTP, AuthResult


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("kind", choices=["smtp", "http"])
    parser.add_argument("--out", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answers", default="")
    parser.add_argument("--tls", choices=["starttls", "tls"])
    parser.add_argument("--certificate")
    parser.add_argument("--user")
    parser.add_argument("--password-file")
    parser.add_argument("--mechanism", default="PLAIN")
    parser.add_argument("--silent", action="store_true")
    return parser.parse_args()


class Book:
    """What was received, and what is still to be answered badly."""

    def __init__(self, options):
        self.out = open(options.out, "a", buffering=1)
        self.answers = [int(code) for code in options.answers.split(",") if code]

    def note(self, **what):
        self.out.write(json.dumps(what) + "\n")

    def answer(self):
        return self.answers.pop(0) if self.answers else None


def tls_context(prefix, host):
    if not pathlib.Path(prefix + ".crt").exists():
        subprocess.run(["/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", prefix + ".key", "-out", prefix + ".crt", "-subj", "/CN=receiver", "-days", "2",
                        "-addext", "subjectAltName=IP:" + host], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(prefix + ".crt", prefix + ".key")
    return context


class Mailbox:
    """aiosmtpd's handler."""

    def __init__(self, book, options):
        self.book = book
        self.user = options.user
        self.password = pathlib.Path(options.password_file).read_text().strip() if options.password_file else None

    async def handle_DATA(self, server, session, envelope):
        code = self.book.answer()
        if code == 0:
            server.transport.abort()
        if code is not None:
            self.book.note(refused=code)
            return f"{code} not now"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.book.note(sender=envelope.mail_from, receivers=envelope.rcpt_tos, encrypted=server.transport.get_extra_info("ssl_object") is not None,
                       headers=dict(message.items()), text=message.get_content().replace("\r\n", "\n"), raw=envelope.content.decode("ascii"),
                       login=session.auth_data and session.auth_data.decode())
        return "250 taken"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def auth_CRAM__MD5(self, server, args):
        challenge = f"<{secrets.token_hex(8)}@test>".encode()
        await server.push("334 " + base64.b64encode(challenge).decode())
        name, digest = base64.b64decode((await server._reader.readline()).strip()).decode().split()
        right = hmac.new(self.password.encode(), challenge, "md5").hexdigest()
        return AuthResult(success=(name, digest) == (self.user, right), auth_data=name.encode(), handled=False)

    def check(self, server, session, envelope, mechanism, data):
        right = (data.login.decode(), data.password.decode()) == (self.user, self.password)
        return AuthResult(success=right, auth_data=data.login, handled=False)


def smtp_factory(options, book):
    mailbox = Mailbox(book, options)
    others = [name for name in ("PLAIN", "LOGIN", "CRAM-MD5") if name != options.mechanism]
    context = tls_context(options.certificate, options.host) if options.tls == "starttls" else None
    return lambda: SMTP(mailbox, hostname="receiver", tls_context=context, require_starttls=context is not None,
                        auth_required=options.user is not None, auth_require_tls=False, authenticator=mailbox.check,
                        auth_exclude_mechanism=others if options.user else ["PLAIN", "LOGIN", "CRAM-MD5"],
                        enable_SMTPUTF8=True, loop=asyncio.get_running_loop())


async def serve_http(book, reader, writer):
    try:
        while line := (await reader.readline()).decode().strip():
            headers = {}
            while header := (await reader.readline()).decode().strip():
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            code = book.answer()
            if code == 0:
                break
            if code is None:
                book.note(request=line, headers=headers, body=body.decode())
            else:
                book.note(refused=code)
            location = "Location: /elsewhere\r\n" if code in (301, 302, 307) else ""
            writer.write(f"HTTP/1.1 {code or 204} answer\r\n{location}Content-Length: 0\r\n\r\n".encode())
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    writer.close()


async def stay_silent(reader, writer):
    await reader.read()


async def main():
    options = arguments()
    book = Book(options)
    loop = asyncio.get_running_loop()
    context = tls_context(options.certificate, options.host) if options.tls == "tls" else None
    if options.silent:
        server = await asyncio.start_server(stay_silent, options.host, options.port)
    elif options.kind == "http":
        server = await asyncio.start_server(lambda r, w: serve_http(book, r, w), options.host, options.port, ssl=context)
    else:
        server = await loop.create_server(smtp_factory(options, book), options.host, options.port, ssl=context)
    book.note(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


logging.disable()  # clients that break off are what tests want
asyncio.run(main())
