#!/usr/bin/env python3
"""Make the keys, tokens and certificates the benchmark needs (all throw-away).

Needs the `cryptography` package.  Writes into DIR (first argument):
  rsa.key rsa.pub rsa.pub.der jwks.json   RS256 signing key (2048 bit)
  tls.crt tls.key tls.pem                 self-signed ECDSA P-256 server certificate
  token tokens                            one valid token; 5,000 distinct valid tokens
  bad-sig bad-exp bad-aud bad-iss bad-none  tokens that must be refused
"""
import base64, concurrent.futures, datetime, hashlib, json, os, sys, time, uuid
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
import ipaddress

ISS, AUD = "https://auth.test", "gateway"
DISTINCT = 5000
LIFE = 30 * 86400


def b64(b):
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode()


def rsa_jwk(key):
    n = key.public_key().public_numbers()
    return {"e": b64(n.e.to_bytes(3, "big")), "kty": "RSA", "n": b64(n.n.to_bytes(256, "big"))}


def thumbprint(key):
    """RFC 7638: the SHA-256 of the required members in order; Gateward names keys so."""
    return b64(hashlib.sha256(json.dumps(rsa_jwk(key), separators=(",", ":")).encode()).digest())


def jwt(key, now, **over):
    head = {"alg": "RS256", "typ": "at+jwt", "kid": thumbprint(key)}
    claims = {
        "iss": ISS, "aud": AUD, "sub": str(uuid.uuid4()), "jti": str(uuid.uuid4()),
        "sid": str(uuid.uuid4()), "iat": now, "nbf": now, "exp": now + LIFE, "auth_time": now,
        "amr": ["pwd"], "email": "ada@example.com", "roles": ["user", "editor"],
    }
    claims.update(over)
    msg = b64(json.dumps(head, separators=(",", ":")).encode()) + "." + \
        b64(json.dumps(claims, separators=(",", ":")).encode())
    return msg + "." + b64(key.sign(msg.encode(), padding.PKCS1v15(), hashes.SHA256()))


def fresh(d):
    p = os.path.join(d, "made")
    return os.path.exists(p) and time.time() - float(open(p).read()) < LIFE / 2


def make(d):
    if fresh(d):
        return
    os.makedirs(d, exist_ok=True)
    now = int(time.time())

    def put(name, data):
        with open(os.path.join(d, name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())

    key = rsa.generate_private_key(65537, 2048)
    pub = key.public_key()
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    pkcs8, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    put("rsa.key", key.private_bytes(pem, pkcs8, none))
    put("rsa.pub", pub.public_bytes(pem, spki))
    put("rsa.pub.der", pub.public_bytes(der, spki))
    put("kid", thumbprint(key))
    put("jwks.json", json.dumps({"keys": [rsa_jwk(key) | {"use": "sig", "alg": "RS256", "kid": thumbprint(key)}]}))

    tok = jwt(key, now)
    put("token", tok)
    put("tokens", "\n".join(jwt(key, now) for _ in range(DISTINCT)) + "\n")
    h, p, s = tok.split(".")
    flip = "A" if s[10] != "A" else "B"
    put("bad-sig", f"{h}.{p}.{s[:10]}{flip}{s[11:]}")
    put("bad-exp", jwt(key, now, exp=now - 3600))
    put("bad-aud", jwt(key, now, aud="someone-else"))
    put("bad-iss", jwt(key, now, iss="https://evil.test"))
    put("bad-none", b64(b'{"alg":"none"}') + "." + p + ".")

    ck = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    t = datetime.datetime.now(datetime.timezone.utc)
    crt = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
           .public_key(ck.public_key()).serial_number(x509.random_serial_number())
           .not_valid_before(t - datetime.timedelta(days=1))
           .not_valid_after(t + datetime.timedelta(days=365))
           .add_extension(x509.SubjectAlternativeName(
               [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
           .sign(ck, hashes.SHA256()))
    cpem, kpem = crt.public_bytes(pem), ck.private_bytes(pem, pkcs8, none)
    put("tls.crt", cpem)
    put("tls.key", kpem)
    put("tls.pem", cpem + kpem)
    os.chmod(d, 0o755)
    put("made", str(time.time()))


def more(d, path, count):
    """So many valid tokens of the same key into one file, by both CPUs."""
    with open(os.path.join(d, "rsa.key"), "rb") as f:
        pem = f.read()
    piece = 2_000
    with concurrent.futures.ProcessPoolExecutor(2) as pool, open(path + ".part", "w") as f:
        for text in pool.map(some, [(pem, min(piece, count - n)) for n in range(0, count, piece)]):
            f.write(text)
    os.replace(path + ".part", path)


def some(what):
    pem, count = what
    key, now = serialization.load_pem_private_key(pem, None), int(time.time())
    return "".join(jwt(key, now) + "\n" for _ in range(count))


if __name__ == "__main__":
    make(sys.argv[1])
