"""Mails that come back, as other programs write them: bounces (RFC 3464) and complaints (RFC 5965)."""


def header(mail, name):
    for line in mail.split(b"\r\n\r\n", 1)[0].decode().split("\r\n"):
        if line.lower().startswith(name.lower() + ":"):
            return line.split(":", 1)[1].strip()
    raise KeyError(name)


def report(report_type, prose, fields, returned, to):
    """multipart/report (RFC 6522): prose, blocks of fields, the header of the mail."""
    part = "delivery-status" if report_type == "delivery-status" else "feedback-report"
    blocks = "\r\n\r\n".join("\r\n".join(f"{name}: {value}" for name, value in block) for block in fields)
    header_of_mail = "".join(f"{name}: {value}\r\n" for name, value in returned)
    return (f"From: MAILER-DAEMON@mx.example.net\r\nTo: {to}\r\nSubject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
            f'Content-Type: multipart/report; report-type={report_type}; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n{prose}\r\n'
            f"--x\r\nContent-Type: message/{part}\r\n\r\n{blocks}\r\n\r\n--x\r\nContent-Type: text/rfc822-headers\r\n\r\n{header_of_mail}\r\n"
            "--x--\r\n").encode()


def dsn(who, to, action="failed", status="5.1.1", said="550 5.1.1 no such user", returned=()):
    return report("delivery-status", f"I could not deliver your mail to {who}.",
                  [[("Reporting-MTA", "dns; mx.example.net")],
                   [("Final-Recipient", f"rfc822; {who}"), ("Action", action), ("Status", status), ("Diagnostic-Code", f"smtp; {said} <{who}>")]],
                  [("Subject", "news"), *returned], to)


def arf(kind, message_id, to):
    return report("feedback-report", "This is a report.", [[("Feedback-Type", kind), ("User-Agent", "fbl/1"), ("Version", "1")]],
                  [("Message-ID", message_id), ("To", "[redacted]")], to)
