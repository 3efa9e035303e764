"""A mail server that keeps what it is given, for tests: port, folder, then optionally certificate, key, user and password.

Each letter that was accepted is a file of its own. While a file `refuse` stands in the folder, every recipient is answered with the reply in it; while
`slow` stands there, whoever brings a letter is kept waiting for the answer.
"""

import asyncio
import pathlib
import signal
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Keeper:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        refusal = self.folder / "refuse"
        if refusal.exists():
            return refusal.read_text().strip()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        secured = "tls" if session.ssl else "clear"
        by = "somebody" if session.authenticated else "nobody"
        head = f"X-Envelope: {','.join(envelope.rcpt_tos)} {secured} {by}\r\n".encode()
        draft = self.folder / f"{self.count:04}.draft"
        draft.write_bytes(head + envelope.content)
        draft.rename(self.folder / f"{self.count:04}.eml")
        while (self.folder / "slow").exists():
            await asyncio.sleep(0.01)
        return "250 OK"


def main(port, folder, cert=None, key=None, user=None, password=None):
    context = None
    if cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)

    def authenticate(server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=right)

    # The shell that watches over it starts it in the background, where this signal is ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    keeper = Keeper(pathlib.Path(folder))

    def serve():
        return SMTP(
            keeper,
            hostname="localhost",
            tls_context=context,
            require_starttls=context is not None,
            authenticator=authenticate if user else None,
            auth_required=user is not None,
            auth_require_tls=context is not None,
        )

    loop = asyncio.new_event_loop()
    loop.run_until_complete(loop.create_server(serve, "127.0.0.1", int(port)))
    loop.run_forever()


main(*sys.argv[1:])
