// See rules.h.
//
// The order: what protects a person from a wrong suppression comes first (guards), then what is proof against an address whatever else is
// said, further guards, precise enhanced codes, concepts and phrases, vague enhanced codes, and basic codes. A rule speaks of a concept
// wherever it can; phrases stand for what cannot be said so. Sources: RFC 3463, 5248, 7504, 7505, 7372 and the IANA registry of enhanced
// codes; documents of Google, Microsoft, Yahoo, Apple, Facebook, Orange and Tencent on their replies; the sources of Postfix, Exim,
// sendmail, qmail and OpenSMTPD. What is expected of real replies stands in replies_test.cc.
#include "processors/bounces/rules.h"

namespace maily::bounces {
namespace {

using enum Class;

// Who or what does not exist, and how that is said, in the languages that refusals are written in.
constexpr std::string_view kRecipient =
    "user|users|username|user name|userid|mail user|mailbox|mail box|mailboxes|mailbox name|recipient|recipients|rcpt|addressee|"
    "account|accounts|address|addresses|mailaddress|alias|local-part|local part|person|destinataire|utilisateur|adresse|"
    "empf\xc3\xa4nger|empfaenger|benutzer|teilnehmer|usuario|destinatario|cuenta|utente|casella|odbiorca|konto|konta|destin|indirizzo|mail "
    "drop";
constexpr std::string_view kAbsent =
    "unknown|not known|unknow|not found|not be found|no such|not exist|not exists|doesn't exist|don't exist|no exist|nonexistent|"
    "non-existent|non existent|inexistent|invalid|not valid|isn't valid|aren't valid|no valid|not a valid|illegal|bad|wrong|not ok|"
    "not a known|not recogni*|unrecogni*|not listed|not present|cannot be verified|cannot be found|cannot find|can't find|"
    "unable to find|no record of|no longer valid|no longer exist*|no longer available|no longer in use|no longer in service|"
    "no longer on|no longer accept*|undeliverable|not deliverable|unrouteable|unroutable|unavailable|not available|"
    "no mail box available|deleted|not local|not a local|inconnu|inconnue|invalide|n'existe pas|unbekannt|unbekannter|"
    "existiert nicht|no existe|desconocido|sconosciuto|inesistente|nie istnieje|niedostepne|nie ma takiego|errato";

constexpr Rule kRules[] = {
    // Guards: a mailbox that is full, or a mail or sender that is not liked, is said by servers under any code, 5.1.1 too.
    {.id = "full.phrase",
     .cls = kSoft,
     .reason = Reason::kMailboxFull,
     .phrases =
         "overquota|disk quota|quota violation|quota exceed*|out of quota|over * quota|not enough storage space|insufficient space|"
         "not enough space|does not have enough space|doesn't have enough * space|enough disk space|space limit|"
         "no space left in * mailbox|too many messages in * mailbox|too many messages on the server|"
         "over the maximum allowed mailbox size|account is over|account storage limit|over storage|mapiexceptionshutoffquotaexceeded",
     .subjects =
         "mailbox|mail box|inbox|quota|storage|mailfolder|mail folder|maildrop|mail drop|maildir|mail account|account|boite|postfach|"
         "buzon|casella",
     .predicates =
         "full|exceed*|over quota|over the|overlimit|out of|has reached|reached * limit|size limit|limit|not enough|pleine|voll|lleno|"
         "llena|piena"},
    {.id = "relay.phrase",
     .cls = kSoft,
     .reason = Reason::kRelay,
     .phrases =
         "no relaying|not relay|as a relay|relay operation rejected|use of this server to relay|open relay test|mail relay|not a gateway|"
         "not configured to relay|that domain isn't in my list|is not allowed to send mail through|this system is not configured to",
     .subjects = "relay|relaying|relayed",
     .predicates = "denied|not|no|unable to|cannot|can't|prohibited|disallowed|unauthorized|insecure|without permission"},
    {.id = "auth.phrase",
     .cls = kSoft,
     .reason = Reason::kAuthFailure,
     .phrases = "dmarc|dkim|spf|sender policy framework|sender id|senderid|domainkeys|authentication checks failed|authentication-results|"
                "unauthenticated email|sender is unauthenticated|does not pass authentication|not meet the required authentication|"
                "email is not authenticated|failed authentication|authentication failure|authentication mechanism|auth failed"},
    {.id = "reputation.listed",
     .cls = kSoft,
     .reason = Reason::kReputation,
     .phrases =
         "blacklist|black list|black listed|blacklisted|blacklists|blocklist|block list|blocklisted|block-listed|denylist|block-list|"
         "dnsbl|dnsbls|rbl|rbls|uribl|spamhaus|spamcop|sorbs|barracuda|senderscore|sender score|reputation|is listed in|was listed in|"
         "listed at|is listed on|is listed by|banned|blocked using|blocked by|blocked for|blocked due to|has been blocked|is blocked by|"
         "have been blocked|blocked because|is blocked|client host|message blocked|email blocked|<>:blocked|:blocked|"
         "connection refused from|your ip|your server|your host|your network|sending ip|source ip|ip for sending|ip address is|"
         "ip address has|ip address you|the ip address|ip address * rejected|ip address * not allowed|open proxy|dynamic ip|dynamically|"
         "dialup|dial-up|residential|too many unwanted|unwanted mail|unsolicited|complaints|access from * denied|no access from|"
         "is not allowed to connect|not accepting connections|not accepting mail from|refused to talk to me|we do not accept mail from|"
         "does not accept mail from|bad sender ip|part of their network|administrative prohibition|your access|cxbl",
     .subjects = "ip|host|server",
     .predicates = "blocked|is listed|was listed|are listed"},
    {.id = "reputation.dns",
     .cls = kSoft,
     .reason = Reason::kReputation,
     .phrases =
         "reverse dns|reverse lookup|reverse hostname|reverse host name|reverse-dns|rdns|ptr|cannot find your|unable to resolve your|"
         "hostname is not|fix reverse|without reverse|valid hostname|forward confirmed|fcrdns|no reverse|helo|ehlo|my name was rejected|"
         "cannot resolve your|does not resolve to|your domain|your hostname"},
    {.id = "content.spam",
     .cls = kSoft,
     .reason = Reason::kContent,
     .phrases =
         "spam|spammer|spamming|antispam|anti-spam|spamassassin|spam-like|spam score|junk mail|junk email|junkmail|bulk mail|bulk email|"
         "mass mailer|phish|phishing|spoofed|mail rejete|message refused|contains * url|cloudmark|high probability|mail appears to be|"
         "detected as"},
    {.id = "routing.loop",
     .cls = kSoft,
     .reason = Reason::kRouting,
     .phrases = "received\" headers|points to local host|points back|best-preference mx|loop|loops|looping|too many hops|hop count|hops|"
                "loops back to myself|routing loop|mail loop"},
    {.id = "tencent.rate",
     .cls = kSoft,
     .reason = Reason::kRate,
     .phrases = "mailbox unavailable or access denied",  // the recipient gets too much at the moment
     .provider = "qq.com|foxmail.com"},
    {.id = "rate.phrase",
     .cls = kSoft,
     .reason = Reason::kRate,
     .phrases = "too many|rate limit|rate limited|rate limits|ratelimit|rate-limit|rate exceed|rate that|throttl*|too fast|too frequent|"
                "too often|greylist*|graylist*|grey-list*|grey list*|temporarily deferred|concurrent connections|connection limit|"
                "connections limit|max connections|messages per|recipients per|exceeded the rate|exceeded the maximum number|unusual rate|"
                "frequency limited|sending limit|hourly limit|daily limit|daily sending|limit on|exceeded * limit|receiving mail at a rate|"
                "receiving mail too"},
    {.id = "size.phrase",
     .cls = kSoft,
     .reason = Reason::kSize,
     .phrases =
         "message too large|message is too large|message size|mail too large|mail too big|message too big|too big|too large|size limit|"
         "size limits|maximum message size|message length|message file too|file size|exceeds * size|exceeds * limit|size exceeds|"
         "exceeded maximum * size|larger than|over the maximum|message exceeded|maximum size|maximum allowed size"},
    {.id = "sender.phrase",
     .cls = kSoft,
     .reason = Reason::kSender,
     .phrases =
         "sender address|sender rejected|sender denied|sender not|sender is not|sender was rejected|verify failed|"
         "verification failed for|address verification|unverified address|sender verification|sender domain|senders domain|"
         "sender unknown|sender refused|sender blocked|blocked sender|blocked senders|unroutable sender|unrouteable sender|"
         "invalid sender|unknown sender|bad sender|sender's|senders not|valid sender|domain of sender|mail from domain|envelope sender|"
         "return address|from address|from domain|address of sender|envelope from|cannot verify|could not verify|callback|callout|"
         "verification failed|outbound sender|sender identity|sender email|sender is rejected|mail from is|mail from invalid|mail from "
         "address|in mail from|mail from not|mail from must|mailfrom|from: address|"
         "unrecognized sender"},
    {.id = "program.mailbox", .cls = kSoft, .reason = Reason::kSystem, .when = kProgram},
    {.id = "facebook.preferences", .cls = kSoft, .reason = Reason::kFiltered, .phrases = "rcp-p2", .provider = "facebook"},
    // Amazon SES answers so by a rule that its customer made, when it has the whole mail: no directory was asked.
    {.id = "amazon.receipt", .cls = kSoft, .reason = Reason::kFiltered, .phrases = "mailbox does not exist", .provider = "inbound-smtp."},
    // What is said before a recipient is named is never said of him.
    {.id = "sender.stage", .cls = kSoft, .reason = Reason::kSender, .phrases = {}, .when = kOfSender},

    // A server's own 5.1.1, and words that say why: nothing outweighs both, but a state that may pass (locked, suspended).
    {.id = "address.proven",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .enhanced = "5.1.0|5.1.1|5.1.3|5.1.10",
     .subjects = kRecipient,
     .predicates = kAbsent,
     .when = kCodeSaid | kNoPolicy | kNotOfMail},
    {.id = "address.ended",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .enhanced = "5.1.1",
     .subjects = kRecipient,
     .predicates = "inactive|deactivated|terminated|cancelled",
     .when = kCodeSaid | kNoPolicy | kNotOfMail},

    {.id = "inactive.phrase",
     .cls = kSoft,
     .reason = Reason::kInactive,
     .phrases = "suspended|discontinued|temporarily disabled|has been disabled|is disabled|no longer active|currently disabled|"
                "over quota or inactive|disabled or discontinued|invalid/inactive|vacationing|not been used|administratively disabled|"
                "account is temporarily|mailbox temporarily|mailbox currently|not been activated|isblocked|account has been",
     .subjects = "account|mailbox|mail box|user|recipient|address|inbox|mailaddress|compte|domain",
     .predicates =
         "disabled|suspended|inactive|not active|deactivated|frozen|locked|blocked|expired|closed|terminated|cancel*|on hold|bloque|"
         "not activated|temporarily*|currently*"},
    {.id = "policy.phrase",
     .cls = kSoft,
     .reason = Reason::kPolicy,
     .phrases =
         "policy|policies|delivery not authorized|not authorized|not authorised|authorized senders|allowed senders|allowed-senders|"
         "permission to|authentication required|requires authentication|authenticationrequired|rst.authrequired|resolver.rst|restricted|"
         "restriction|restrictions|preferences|not a member of th*|not permitted|prohibited|unauthorized|you are not allowed|"
         "not allowed to send|not allowed to post|violation|insufficient permission|whitelist|require tls|starttls|encryption|"
         "local address spoof|you are sending to/from"},

    // An address written wrongly may be our doing.
    {.id = "protocol.address",
     .cls = kSoft,
     .reason = Reason::kProtocol,
     .phrases = "address syntax|bad syntax|syntax error|sequence of commands|bad sequence|need rcpt|need mail"},

    // Precise codes of other things than a mailbox.
    {.id = "code.syntax", .cls = kSoft, .reason = Reason::kProtocol, .enhanced = "x.5.1|x.5.2|x.5.4"},
    {.id = "code.content", .cls = kSoft, .reason = Reason::kContent, .enhanced = "x.6.*"},
    {.id = "moved.code", .cls = kHard, .reason = Reason::kMoved, .enhanced = "5.1.6"},
    {.id = "code.domain", .cls = kHard, .reason = Reason::kBadDomain, .enhanced = "5.1.2|5.4.310"},
    // Who answers RCPT has not seen the mail: words about mails are no counter-evidence.
    {.id = "address.named",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .subjects = kRecipient,
     .predicates = kAbsent,
     .when = kPermanent | kOfAddress | kAtRcpt},

    {.id = "content.virus",
     .cls = kSoft,
     .reason = Reason::kContent,
     .phrases = "virus|viruses|infected|malware|trojan|worm|malicious|executable|dangerous|potential security",
     .subjects = "attachment|attachments|file attached|attached file|file type",
     .predicates =
         "not allowed|not accept*|blocked|rejected|prohibited|banned|forbidden|denied|removed|refused|not permitted|unacceptable|illegal|"
         "does not accept"},
    {.id = "content.phrase",
     .cls = kSoft,
     .reason = Reason::kContent,
     .phrases =
         "message content|content rejected|content reject|content denied|data refused|content filter|rejected by content|content not|"
         "unacceptable content|content policy|header error|headers too large|header too large|message header|header fields|"
         "missing header|from header|rejected by * filter|message filtered|mail filtered|rejected * filter|message rejected|"
         "message was rejected|mail rejected|mail is rejected|email rejected|permanently rejected message|improper use of 8-bit|8bit|"
         "bare lf|bare newline|line too long|not rfc|rfc compliant|non-compliant|not compliant|addresses in from|multiple from|"
         "duplicate header|malformed message|invalid mime|malformed mime|mime error|character set*|message not accepted|"
         "data not accepted|not accepted"},

    // Moved, or a domain that takes no mail.
    {.id = "moved.phrase",
     .cls = kHard,
     .reason = Reason::kMoved,
     .phrases =
         "not our customer|not our user|has moved|user moved|user not local|recipient has been replaced|address has changed|"
         "has changed * address|new address|has left the company|has left the organi*|no longer works|no longer employed|no longer with",
     .when = kPermanent},
    // A name that nobody could look up just now.
    {.id = "routing.dns",
     .cls = kSoft,
     .reason = Reason::kRouting,
     .phrases = "host not found, try again|name service error * try again|malformed * name server reply|name server failure|"
                "host name lookup failure|lookup failed temporarily|server failure|servfail|temporary failure in name resolution|"
                "lookup did not complete"},
    {.id = "nomail.phrase",
     .cls = kHard,
     .reason = Reason::kNoMail,
     .phrases =
         "not accepting network messages|no smtp service|null mx|nullmx|mail receiving disabled|send-only|only sends mail|"
         "find a mail exchanger|find any mail exchanger|find a mail exchange|mx points to loopback|no host found|"
         "destination seem to reject all|no a record|no mx record|no mx records|no mx found|no mx for|no mx or|has no mx|no valid mx|"
         "dns mx record is invalid|no mail exchanger|no mail exchange|no mail server|no mail servers|no mail hosts|no mail service|"
         "illegal host",
     .subjects = "host|domain|server|system|host/domain|<>|mx|it",
     .predicates = "does not accept mail|does not accept email|does not accept any mail|accepts no mail|does not receive mail",
     .when = kPermanent | kNotOfMail},
    {.id = "nomail.556", .cls = kHard, .reason = Reason::kNoMail, .basic = "556"},

    // Precise enhanced codes.
    {.id = "code.address", .cls = kHard, .reason = Reason::kInvalidAddress, .enhanced = "5.1.1|5.1.3|5.1.351"},
    {.id = "code.nomail", .cls = kHard, .reason = Reason::kNoMail, .enhanced = "5.1.10|5.4.4"},
    {.id = "code.full", .cls = kSoft, .reason = Reason::kMailboxFull, .enhanced = "x.2.2"},
    {.id = "code.sender", .cls = kSoft, .reason = Reason::kSender, .enhanced = "x.1.7|x.1.8|x.7.27|x.7.102"},
    {.id = "code.auth",
     .cls = kSoft,
     .reason = Reason::kAuthFailure,
     .enhanced = "x.7.20|x.7.21|x.7.22|x.7.23|x.7.24|x.7.26|x.7.29|x.7.30|x.7.31|x.7.32|x.7.509|x.7.515"},
    {.id = "code.ptr", .cls = kSoft, .reason = Reason::kReputation, .enhanced = "x.7.25"},
    {.id = "code.rate", .cls = kSoft, .reason = Reason::kRate, .enhanced = "x.7.28|x.4.5|x.5.3|x.7.501|x.7.50*|x.7.51*"},
    {.id = "code.disabled", .cls = kSoft, .reason = Reason::kInactive, .enhanced = "x.7.13"},
    {.id = "code.size", .cls = kSoft, .reason = Reason::kSize, .enhanced = "x.2.3|x.3.4"},
    {.id = "code.loop", .cls = kSoft, .reason = Reason::kRouting, .enhanced = "x.4.6|x.4.14"},

    // Providers whose words mean something of their own.
    {.id = "microsoft.directory",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .enhanced = "5.4.1",
     .phrases = "recipient address rejected: access denied",
     .provider = "protection.outlook.com"},
    {.id = "facebook.recipient",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .phrases = "rcp-p1|int-p1|int-p3|int-p4",
     .provider = "facebook"},
    // Orange, Wanadoo, La Poste, SFR number their replies; 416 is a recipient that is not there.
    {.id = "orange.recipient",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .phrases = "ofr* 416|lpn* 416|sfr* 416",
     .when = kPermanent},
    // KDDI repeats an address that is not there; without it the recipient's filter speaks.
    {.id = "carrier.address",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .phrases = "550 <>: user unknown|550: <>: user unknown",
     .provider = "ezweb.ne.jp|au.com|uqmobile.jp"},
    {.id = "carrier.filter", .cls = kSoft, .reason = Reason::kFiltered, .phrases = "550 : user unknown|550: : user unknown"},

    // A server that looked into its own directory.
    {.id = "address.directory",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .phrases = "recipient name is not recognized|invalid final delivery userid|not listed in * directory|not listed in * address book|"
                "not listed in public name|unknown local-part|unknown local part|resolver.adr.*notfound|recipnotfound|"
                "no matches to nameserver query|address could not be found|address you entered couldn't be found|wasn't found at|"
                "couldn't be found|unrouteable address|unroutable address|no matching entry in|non-existent records in|"
                "does not exist at the organi*|"
                // Domino in Japanese: "is not found in the directory"
                "\xe3\x83\x87\xe3\x82\xa3\xe3\x83\xac\xe3\x82\xaf\xe3\x83\x88\xe3\x83\xaa*\xe8\xa6\x8b\xe3\x81\xa4\xe3\x81\x8b\xe3\x82\x8a",
     .when = kPermanent | kNoPolicy | kNotOfMail},
    // It speaks for itself, and quotes no other.
    {.id = "address.local",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .phrases = "unknown recipient|unknown user: <>|couldn't find any user",
     .when = kPermanent | kNoPolicy | kNotOfMail | kUncoded},

    // Words of no such address or domain: only with a permanent code, and not said of the mail.
    {.id = "address.phrase",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .phrases = "does not exist|doesn't exist|not exist|not exists|not found in|<> unknown|<>: unknown|<> not found|<>: not found|"
                "no one with that|handle mail for that|no account by that name|no one by that name|there is no one|no one at|"
                "doesn't have * account|does not have * account|not have a user|dd this user|name not found|mailbox name not allowed|"
                "user missing|we don't handle mail for|cannot deliver mail for|no mailbox|not in directory|record of this mailbox|cuda nsu|"
                "address rejected.$|address rejected$|address rejected <>$|recipient rejected$|recipient rejected.$|"
                "account that you tried to reach|marked as invalid|isn't a user|recipient no longer|mail user",
     .subjects = kRecipient,
     .predicates = kAbsent,
     .when = kPermanent | kOfAddress},
    // A recipient that is refused by name, without a reason.
    {.id = "address.refused",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .phrases = "recipient address rejected.$|recipient address rejected: access denied",
     .when = kPermanent | kOfAddress | kAtRcpt},
    {.id = "domain.phrase",
     .cls = kHard,
     .reason = Reason::kBadDomain,
     .phrases =
         "name or service not known|couldn't find any host|could not find any host|find any host|dns.nonexistentdomain|"
         "no such address here|nxdomain|bad destination system|unable to route to domain|domain lookup failed|lookups failed permanently|"
         "no address associated|nodename nor servname|unable to look up host|unrouteable mail domain|unroutable mail domain|"
         "all relevant mx records point to non-existent hosts",
     .subjects = "host|domain|domain name|hostname|host name|host/domain|recipient's domain|recipient domain|destination server",
     .predicates = "unknown|no such|not found|not exist|doesn't exist|nonexistent|non-existent|invalid|not valid|isn't valid|not be found|"
                   "couldn't find|could not find|cannot find|not find|unable to find|able to find|not known|illegal|bad|not a valid",
     .when = kPermanent | kNoPolicy | kNotOfMail},
    // An unknown user that a filter or a program told, or nobody knows who: suspicion, not proof.
    {.id = "address.doubtful",
     .cls = kSoft,
     .reason = Reason::kFiltered,
     .phrases = "doesn't have * account|does not have * account",
     .subjects = kRecipient,
     .predicates = kAbsent},

    // Phrases of the way and the time.
    {.id = "routing.network",
     .cls = kSoft,
     .reason = Reason::kRouting,
     .phrases =
         "connection refused|connection reset|connection dropped|is broken|connection closed|connection lost|lost connection|"
         "network error|network is unreachable|network unreachable|no route to host|host unreachable|host is unreachable|name server|"
         "nameserver|lookup failure|lookup failed|lookup error|dns error|dns failure|dns lookup|server failure|servfail|cname|mx lookup|"
         "temporary failure in name resolution|tls|certificate|socket error|could not connect|couldn't connect|unable to connect|"
         "cannot connect|failed to connect|connect to|not reachable|did not accept our requests|host not reachable|remote host * respond"},
    {.id = "expired.phrase",
     .cls = kSoft,
     .reason = Reason::kExpired,
     .phrases = "timed out|timeout|time out|expired|retry time|retry timeout|too long|in the queue|giving up|could not deliver for|"
                "could not be delivered for|delivery time|will be retried|still being retried|delayed|delay|not yet been delivered|"
                "will keep trying|maximum delivery attempts|attempts will continue|undelivered after|unable to deliver in|past * hours"},
    {.id = "system.phrase",
     .cls = kSoft,
     .reason = Reason::kSystem,
     .phrases =
         "service unavailable|service not available|temporarily unavailable|system error|internal error|local error|server error|"
         "mailer error|configuration|out of memory|disk full|no space left|insufficient * storage|file system|i/o error|command output|"
         "resources temporarily|try again later|try later|later|busy|maintenance|overload|access denied|database|ldap"},
    {.id = "protocol.phrase",
     .cls = kSoft,
     .reason = Reason::kProtocol,
     .phrases = "syntax error|syntax|sequence of commands|bad sequence|command not|unrecognized command|malformed|protocol error|"
                "not implemented|parameter"},

    // Vague enhanced codes: none is proof against an address.
    {.id = "code.inactive", .cls = kSoft, .reason = Reason::kInactive, .enhanced = "x.2.1"},
    {.id = "code.mailbox", .cls = kSoft, .reason = Reason::kFiltered, .enhanced = "x.1.*|x.2.*"},
    {.id = "code.system", .cls = kSoft, .reason = Reason::kSystem, .enhanced = "x.3.*"},
    {.id = "code.expired", .cls = kSoft, .reason = Reason::kExpired, .enhanced = "x.4.7"},
    {.id = "code.routing", .cls = kSoft, .reason = Reason::kRouting, .enhanced = "x.4.*"},
    {.id = "code.protocol", .cls = kSoft, .reason = Reason::kProtocol, .enhanced = "x.5.*"},
    {.id = "code.policy", .cls = kSoft, .reason = Reason::kPolicy, .enhanced = "x.7.*"},

    // Basic codes.
    {.id = "basic.moved", .cls = kHard, .reason = Reason::kMoved, .basic = "551", .when = kPermanent | kOfAddress},
    {.id = "basic.full", .cls = kSoft, .reason = Reason::kMailboxFull, .basic = "552"},
    {.id = "basic.protocol", .cls = kSoft, .reason = Reason::kProtocol, .basic = "50*|555"},
    {.id = "basic.auth", .cls = kSoft, .reason = Reason::kAuthFailure, .basic = "530|534|535|538|525"},
    {.id = "basic.storage", .cls = kSoft, .reason = Reason::kSystem, .basic = "45*|42*|43*|44*"},
    {.id = "basic.refused", .cls = kSoft, .reason = Reason::kUndetermined, .basic = "5*"},
    {.id = "none", .cls = kSoft, .reason = Reason::kUndetermined},
};

}  // namespace

std::span<const Rule> Rules() { return kRules; }

}  // namespace maily::bounces
