#!/usr/bin/env python3
"""Hostile mails that we signed are verified by two programs that are not ours: dkimpy, and OpenDKIM's library. No DNS is asked.

sign_corpus writes --count mails, each with an rsa-sha256 and an ed25519-sha256 signature. Both verifiers must take every signature of every
mail as it is and after what a relay may do to it, and refuse every one after what nobody may: see CHANGES. Exits 77 if one of them is not
installed, after the other has found nothing wrong. Debian 12: python3-dkim, python3-nacl, libopendkim11 (scripts/setup.sh --mail).
"""
import argparse
import collections
import ctypes
import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
DEBIAN = "/usr/bin/python3"  # its packages are for its own interpreter
ALGORITHMS = ("rsa-sha256", "ed25519-sha256")


def header_end(mail):
    """Where the empty line behind the header begins."""
    return mail.index(b"\r\n\r\n") + 2


def unsigned_part(mail):
    """Where the mail itself begins, behind our two signatures."""
    at = 0
    for _ in ALGORITHMS:
        assert mail.startswith(b"DKIM-Signature:", at)
        at = re.compile(rb"\r\n(?![ \t])").search(mail, at).end()
    return at


def on_top(field):
    return lambda mail: field + mail


def below(field):
    return lambda mail: mail[:header_end(mail)] + field + mail[header_end(mail):]


def refold(mail):
    """Every space of the mail's own header lines that stands alone is a fold, as a relay may write it."""
    begin, end = unsigned_part(mail), header_end(mail)
    return mail[:begin] + re.sub(rb"(?<=[!-9;-~]) (?=[!-~])", b"\r\n\t ", mail[begin:end]) + mail[end:]


def flip_body(mail):
    at = header_end(mail) + 2
    return mail[:at] + b"x" + mail[at:]


# What becomes of a mail: (name, change, does it verify afterwards).
CHANGES = [
    ("as it is", lambda mail: mail, True),
    ("a relay's field on top", on_top(b"Received: from a by b; Fri, 21 Nov 2025 04:40:00 +0000\r\n"), True),
    ("folded anew", refold, True),
    ("empty lines at the end", lambda mail: mail + b"\r\n\r\n", True),
    ("another From on top", on_top(b"From: evil@evil.example\r\n"), False),
    ("another From below", below(b"From: evil@evil.example\r\n"), False),
    ("a Subject added", below(b"Subject: buy\r\n"), False),
    ("a List-Unsubscribe added", on_top(b"List-Unsubscribe: <https://evil.example>\r\n"), False),
    ("a List-Unsubscribe-Post added", on_top(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), False),
    ("a Content-Type added", on_top(b"Content-Type: text/html\r\n"), False),
    ("another sender", lambda mail: mail.replace(b"news@shop.example", b"evil@shop.example"), False),
    ("a byte more in the body", flip_body, False),
    ("a line more at the end", lambda mail: mail + b"x\r\n", False),
]


class Dkimpy:
    name = "dkimpy"

    def __init__(self, keys, _dir):
        import dkim  # noqa: installed or not is the question
        import nacl  # noqa: without it Ed25519 is not verified
        self.dkim = dkim
        self.keys = {name.encode() + b".": value.encode() for name, value in keys.items()}
        self.version = f"dkimpy at {os.path.dirname(dkim.__file__)}"

    def verdicts(self, mail):
        """{algorithm: does its signature verify}; why not, if not."""
        result, why = {}, ""
        for index, algorithm in enumerate(re.findall(rb"^DKIM-Signature: v=1; a=([a-z0-9-]+);", mail[:header_end(mail)], re.M)):
            try:
                good = self.dkim.DKIM(mail).verify(idx=index, dnsfunc=lambda name, timeout=5: self.keys.get(name))
            except self.dkim.DKIMException as error:
                good, why = False, str(error)
            result[algorithm.decode()] = good
        return result, why


class OpenDkim:
    """libopendkim, which the milter is made of. Its keys come from a file, one "name value" a line (DKIM_QUERY_FILE of its dkim.h)."""
    name = "OpenDKIM"
    OP_SETOPT, OPTS_QUERYMETHOD, OPTS_QUERYINFO, QUERY_FILE = 1, 6, 7, 1
    SIGFLAG_PASSED, FEATURE_ED25519 = 0x04, 11
    ALGORITHM = {1: "rsa-sha256", 2: "ed25519-sha256"}  # DKIM_SIGN_*

    def __init__(self, _keys, directory):
        lib = self.lib = ctypes.CDLL("libopendkim.so.11")
        pointer = ctypes.c_void_p
        lib.dkim_init.restype = lib.dkim_verify.restype = pointer
        lib.dkim_init.argtypes = [pointer, pointer]
        lib.dkim_options.argtypes = [pointer, ctypes.c_int, ctypes.c_int, pointer, ctypes.c_size_t]
        lib.dkim_verify.argtypes = [pointer, ctypes.c_char_p, pointer, ctypes.POINTER(ctypes.c_int)]
        lib.dkim_chunk.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t]
        lib.dkim_eom.argtypes = [pointer, pointer]
        lib.dkim_getsiglist.argtypes = [pointer, pointer, pointer]
        lib.dkim_sig_getsignalg.argtypes = [pointer, pointer]
        for call in (lib.dkim_sig_getflags, lib.dkim_sig_getbh, lib.dkim_sig_geterror, lib.dkim_free):
            call.argtypes = [pointer]
        lib.dkim_sig_geterrorstr.restype = lib.dkim_geterror.restype = ctypes.c_char_p
        lib.dkim_geterror.argtypes = [pointer]
        lib.dkim_libfeature.argtypes = [pointer, ctypes.c_uint]
        lib.dkim_libversion.restype = ctypes.c_uint32
        self.handle = lib.dkim_init(None, None)
        method = ctypes.c_int(self.QUERY_FILE)
        path = ctypes.create_string_buffer(os.path.join(directory, "keys").encode(), 256)
        assert lib.dkim_options(self.handle, self.OP_SETOPT, self.OPTS_QUERYMETHOD, ctypes.byref(method), ctypes.sizeof(method)) == 0
        assert lib.dkim_options(self.handle, self.OP_SETOPT, self.OPTS_QUERYINFO, path, len(path)) == 0
        version = lib.dkim_libversion()
        ed25519 = "with" if lib.dkim_libfeature(self.handle, self.FEATURE_ED25519) else "WITHOUT"
        self.version = f"OpenDKIM {version >> 24}.{version >> 16 & 255}.{version >> 8 & 255} {ed25519} ed25519"

    def verdicts(self, mail):
        status = ctypes.c_int()
        one = self.lib.dkim_verify(self.handle, b"test", None, ctypes.byref(status))
        assert one, status.value
        try:
            for step in (lambda: self.lib.dkim_chunk(one, mail, len(mail)), lambda: self.lib.dkim_chunk(one, None, 0)):
                if (code := step()) != 0:
                    return {}, f"status {code}: {self.lib.dkim_geterror(one)}"
            code = self.lib.dkim_eom(one, None)
            signatures, count = ctypes.POINTER(ctypes.c_void_p)(), ctypes.c_int()
            if self.lib.dkim_getsiglist(one, ctypes.byref(signatures), ctypes.byref(count)) != 0:
                return {}, f"status {code}: {self.lib.dkim_geterror(one)}"
            result, why = {}, ""
            for signature in signatures[:count.value]:
                algorithm = ctypes.c_int()
                self.lib.dkim_sig_getsignalg(signature, ctypes.byref(algorithm))
                good = bool(self.lib.dkim_sig_getflags(signature) & self.SIGFLAG_PASSED) and self.lib.dkim_sig_getbh(signature) == 0
                if not good:
                    error = self.lib.dkim_sig_geterror(signature)
                    why = f"{error} {self.lib.dkim_sig_geterrorstr(error)}, bh {self.lib.dkim_sig_getbh(signature)}, eom {code}"
                result[self.ALGORITHM.get(algorithm.value, str(algorithm.value))] = good
            return result, why
        finally:
            self.lib.dkim_free(one)


def read_corpus(directory):
    with open(os.path.join(directory, "mails"), "rb") as file:
        while size := file.read(8):
            yield file.read(int(size, 16))


def run_where_dkimpy_is():
    """Starts this again with Debian's interpreter if this one has no dkimpy."""
    if importlib.util.find_spec("dkim") is None and os.path.exists(DEBIAN) and os.environ.get("MAILY_TEST_PYTHON") != "tried":
        os.environ["MAILY_TEST_PYTHON"] = "tried"
        os.execv(DEBIAN, [DEBIAN, *sys.argv])


def verifiers(keys, directory):
    found = []
    for kind in (Dkimpy, OpenDkim):
        try:
            found.append(kind(keys, directory))
            print(found[-1].version)
        except (ImportError, OSError) as error:
            print(f"{kind.name}: not installed ({error}); scripts/setup.sh --mail installs it")
    return found


def check(verifier, mails, choose):
    """Verifies each mail, as it is and changed; counts right verdicts by (change, algorithm), and lists the wrong ones."""
    right, wrong = collections.Counter(), []
    for number, mail in enumerate(mails):
        # As it is always; of the changes two a mail, so that a large corpus takes minutes.
        for name, change, verifies in [CHANGES[0], *choose.sample(CHANGES[1:], 2)]:
            verdicts, why = verifier.verdicts(change(mail))
            for algorithm in ALGORITHMS:
                if verdicts.get(algorithm, False) == verifies:
                    right[(name, algorithm)] += 1
                else:
                    wrong.append((number, name, algorithm, why, mail))
    return right, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sign", required=True, help="the program sign_corpus")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--keep", help="a directory for the corpus and for mails with a wrong verdict")
    arguments = parser.parse_args()
    run_where_dkimpy_is()
    with tempfile.TemporaryDirectory(prefix="maily-dkim-") as temporary:
        directory = arguments.keep or temporary
        os.makedirs(directory, exist_ok=True)
        print(f"{arguments.count} mails, seed {arguments.seed}")
        subprocess.run([arguments.sign, directory, str(arguments.count), str(arguments.seed)], check=True)
        with open(os.path.join(directory, "keys"), encoding="ascii") as file:
            keys = dict(line.rstrip("\n").split(" ", 1) for line in file)
        found = verifiers(keys, directory)
        failures = 0
        for verifier in found:
            started = time.monotonic()
            right, wrong = check(verifier, read_corpus(directory), random.Random(arguments.seed))
            for name, _, verifies in CHANGES:
                counts = ", ".join(f"{right[(name, algorithm)]} {algorithm}" for algorithm in ALGORITHMS)
                print(f"{verifier.name}: {'verified' if verifies else 'refused'} {name}: {counts}")
            print(f"{verifier.name}: {sum(right.values())} verdicts right, {len(wrong)} wrong ({time.monotonic() - started:.1f} s)")
            for number, name, algorithm, why, mail in wrong[:10]:
                print(f"WRONG {verifier.name}, mail {number}, {name}, {algorithm}: {why}")
                if arguments.keep:
                    with open(os.path.join(directory, f"wrong-{verifier.name}-{number}.eml"), "wb") as file:
                        file.write(mail)
            failures += len(wrong)
        if not failures and len(found) < 2:
            print("skipped: both verifiers have to agree, and one is not installed")
            sys.exit(SKIPPED)
        sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
