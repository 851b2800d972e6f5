// See rules.h.
//
// The order: what protects a person from a wrong suppression comes first (guards), then precise enhanced codes, phrases, vague enhanced
// codes, and basic codes. Sources: RFC 3463, 5248, 7504, 7505, 7372 and the IANA registry of enhanced codes; documents of Google, Microsoft
// and Yahoo on their replies; the wording of the common servers (Postfix, Exim, sendmail, qmail, Exchange, Courier, Domino).
#include "processors/bounces/rules.h"

namespace maily::bounces {
namespace {

using enum Class;

constexpr Rule kRules[] = {
    // Guards: a mailbox that is full, or a mail or sender that is not liked, is said by servers under any code, 5.1.1 too.
    {.id = "full.phrase",
     .cls = kSoft,
     .reason = Reason::kMailboxFull,
     .phrases =
         "mailbox full|mailbox is full|mailbox was full|mail box full|mailbox for user is full|mailbox * is full|inbox is full|inbox full|"
         "over quota|overquota|over the quota|quota exceed|exceeded quota|exceeded * quota|exceeds * quota|exceeding * quota|quota * "
         "exceeded|"
         "quota full|disk quota|quota violation|quota limit|is over * quota|would be over quota|out of quota|user is overquota|"
         "mailbox size limit|mailbox * exceeded|mailbox exceeds|exceeded * mailbox|exceed mailbox|mailbox over|maximum mailbox "
         "size|mailbox limit|"
         "storage limit|storage quota|exceeded storage|exceeded * storage|out of storage|not enough storage space|insufficient space in|"
         "no space left in * mailbox|not enough space in|not enough space on|does not have enough space|doesn't have enough * space|"
         "too many messages in * mailbox|mail folder is full|mail quota|account is full|account is over|boite pleine|boite du destinataire "
         "pleine|"
         "mailfolder is full|mail drop * full|maildrop * full|mailbox has reached|reached * storage|over the maximum allowed mailbox size|"
         "over the storage|space limit|enough disk space|maildir over|mapiexceptionshutoffquotaexceeded"},
    {.id = "relay.phrase",
     .cls = kSoft,
     .reason = Reason::kRelay,
     .phrases =
         "relaying denied|relay denied|relay access denied|relaying not allowed|relaying not permitted|relaying is not|relay not permitted|"
         "relay not allowed|not permitted to relay|not allowed to relay|unable to relay|cannot relay|can't relay|not configured to relay|"
         "relaying mail|relaying to|relaying prohibited|relaying disallowed|relay prohibited|relay operation rejected|no relaying|"
         "does not relay|not relay|not a gateway|open relay test|mail relay|relay not|without permission to relay|that domain isn't in my "
         "list|"
         "use of this server to relay|insecure mail relay|is not allowed to send mail through|this system is not configured to"},
    {.id = "auth.phrase",
     .cls = kSoft,
     .reason = Reason::kAuthFailure,
     .phrases = "dmarc|dkim|spf|sender policy framework|sender id|senderid|domainkeys|authentication checks failed|authentication-results|"
                "unauthenticated email|sender is unauthenticated|does not pass authentication|not meet the required authentication|"
                "email is not authenticated|failed authentication|authentication failure"},
    {.id = "reputation.listed",
     .cls = kSoft,
     .reason = Reason::kReputation,
     .phrases =
         "blacklist|black list|blacklisted|blocklist|block list|blocklisted|block-listed|denylist|block-list|dnsbl|rbl|rbls|uribl|"
         "spamhaus|spamcop|sorbs|barracuda|proofpoint|senderscore|sender score|"
         "poor reputation|bad reputation|low reputation|reputation|is listed in|was listed in|ip * listed|listed at|is listed on|is listed "
         "by|banned|"
         "blocked using|blocked by|blocked for|blocked due to|has been blocked|is blocked by|have been blocked|blocked because|client host|"
         "blocked * ip|ip * blocked|ip address * rejected|ip address * not allowed|host * blocked|message blocked|email blocked|"
         "connection refused from|your ip|your server|your host|sending ip|source ip|ip for sending|ip address is not|"
         "open relay|open proxy|dynamic ip|dynamically|dialup|dial-up|residential|too many unwanted|unwanted mail|unsolicited|complaints|"
         "access from * denied|no access from|is not allowed to connect|not accepting connections|not accepting mail from|"
         "refused to talk to me|we do not accept mail from|does not accept mail from|bad sender ip|"
         "part of their network|administrative prohibition"},
    {.id = "reputation.dns",
     .cls = kSoft,
     .reason = Reason::kReputation,
     .phrases =
         "reverse dns|reverse lookup|reverse hostname|reverse host name|rdns|ptr|cannot find your|unable to resolve your|hostname is not|"
         "fix reverse|without reverse|valid hostname|forward confirmed|fcrdns|no reverse|helo|ehlo|my name was rejected|"
         "cannot resolve your|does not resolve to"},
    {.id = "content.spam",
     .cls = kSoft,
     .reason = Reason::kContent,
     .phrases = "spam|spammer|spamming|antispam|spamassassin|spam-like|spam score|junk mail|junk email|bulk mail|bulk email|phish|phishing|"
                "looks like spam|considered spam|mail rejete|message refused|contains * url|cloudmark|high probability|"
                "mail appears to be|appears to be unsolicited|detected as"},
    {.id = "content.virus",
     .cls = kSoft,
     .reason = Reason::kContent,
     .phrases = "virus|viruses|infected|malware|trojan|worm|malicious|executable|dangerous|potential security|attachment|attachments"},
    {.id = "content.phrase",
     .cls = kSoft,
     .reason = Reason::kContent,
     .phrases =
         "message content|content rejected|content filter|rejected by content|content not|unacceptable content|content policy|"
         "header error|headers too large|header too large|message header|header fields|missing header|from header|"
         "rejected by * filter|message filtered|mail filtered|rejected * filter|message rejected|message was rejected|mail rejected|email "
         "rejected|"
         "improper use of 8-bit|8bit|bare lf|bare newline|line too long|not rfc|rfc compliant|non-compliant|not compliant|"
         "addresses in from|multiple from|duplicate header|malformed message|mime|message not accepted|data not accepted|not accepted"},
    {.id = "policy.phrase",
     .cls = kSoft,
     .reason = Reason::kPolicy,
     .phrases = "policy|policies|delivery not authorized|not authorized|not authorised|authorized senders|allowed senders|permission to|"
                "authentication required|authenticationrequired|rst.authrequired|resolver.rst|restricted|restriction|"
                "not a member|not permitted|prohibited|unauthorized|you are not allowed|not allowed to send|not allowed to post|violation|"
                "insufficient permission|whitelist|require tls|starttls|encryption|local address spoof|you are sending to/from"},
    {.id = "rate.phrase",
     .cls = kSoft,
     .reason = Reason::kRate,
     .phrases = "too many|rate limit|rate limited|rate limits|ratelimit|rate-limit|rate exceed|rate that|throttl*|too fast|too "
                "frequent|too often|greylist*|"
                "graylist*|grey-list*|grey list*|temporarily deferred|concurrent connections|connection limit|connections limit|"
                "max connections|messages per|recipients per|exceeded the rate|exceeded the maximum number|unusual rate|sending limit|"
                "hourly limit|daily limit|daily sending|limit on|exceeded * limit|receiving mail at a rate|receiving mail too"},
    {.id = "size.phrase",
     .cls = kSoft,
     .reason = Reason::kSize,
     .phrases =
         "message too large|message is too large|message size|mail too large|mail too big|message too big|too big|too large|size limit|"
         "maximum message size|message length|message file too|file size|exceeds * size|exceeds * limit|size exceeds|exceeded maximum * "
         "size|"
         "larger than|over the maximum|message exceeded|maximum size"},
    {.id = "sender.phrase",
     .cls = kSoft,
     .reason = Reason::kSender,
     .phrases =
         "sender address|sender rejected|sender denied|sender not|sender is not|sender was rejected|sender verif*|sender domain|senders "
         "domain|"
         "sender unknown|sender refused|sender blocked|unroutable sender|unrouteable sender|invalid sender|unknown sender|bad sender|"
         "sender's|senders not|valid sender|domain of sender|mail from domain|envelope sender|return address|from address|"
         "from domain|address of sender|envelope from|cannot verify|could not verify|callback|callout|verification failed"},
    {.id = "program.mailbox", .cls = kSoft, .reason = Reason::kSystem, .when = kProgram},
    {.id = "inactive.phrase",
     .cls = kSoft,
     .reason = Reason::kInactive,
     .phrases =
         "account * disabled|account disabled|account * suspended|account suspended|account * inactive|account inactive|account is blocked|"
         "account blocked|account * blocked|account * locked|account * deactivated|account * frozen|account expired|account has expired|"
         "account * closed|account * cancel*|account * terminated|"
         "account not active|account is not active|account * not been activated|account is temporarily|account temporarily|"
         "mailbox * disabled|mailbox disabled|mailbox * suspended|mailbox suspended|mailbox * inactive|mailbox inactive|mailbox * frozen|"
         "mailbox * locked|mailbox * blocked|mailbox * deactivated|mailbox expired|mailbox temporarily|mailbox currently|mailbox is not "
         "active|"
         "user * suspended|user * disabled|user * inactive|user * deactivated|user is not active|user blocked|user locked|"
         "disabled recipient|disabled mailbox|disabled user|disabled account|inactive user|inactive account|inactive mailbox|inactive "
         "recipient|"
         "suspended|recipient * disabled|recipient * suspended|recipient * inactive|address * disabled|domain * suspended|"
         "disabled or discontinued|discontinued|temporarily disabled|has been disabled|is disabled|"
         "tried to reach is disabled|tried to reach is inactive|no longer active|currently disabled|over quota or inactive|"
         "invalid/inactive|vacationing|not been used"},

    // What is said before a recipient is named is never said of him.
    {.id = "sender.stage", .cls = kSoft, .reason = Reason::kSender, .phrases = {}, .when = kOfSender},

    // Moved, or a domain that takes no mail.
    {.id = "moved.phrase",
     .cls = kHard,
     .reason = Reason::kMoved,
     .phrases = "not our customer|not our user|has moved|user moved|recipient has moved|mailbox has moved|user not local|recipient has "
                "been replaced|"
                "address has changed|has changed * address|new address|has left the company|has left the organi*|no longer works|"
                "no longer employed|no longer with",
     .when = kPermanent},
    {.id = "moved.code", .cls = kHard, .reason = Reason::kMoved, .enhanced = "5.1.6"},
    {.id = "nomail.phrase",
     .cls = kHard,
     .reason = Reason::kNoMail,
     .phrases =
         "no smtp service|null mx|nullmx|does not accept mail|does not accept email|not accepting network messages|domain does not receive|"
         "no mail service|find a mail exchanger|find any mail exchanger|find a mail exchange|no mx record|no mx records|no mx or|no mx for|"
         "mx points to loopback|no valid mx|no mail server|no mail servers|no mail exchanger|no mail exchange|no mail hosts|mail not "
         "accepted|"
         "domain not accepting|mail receiving disabled|no mx found|has no mx|no host found|destination seem to reject all|dns mx record is "
         "invalid|no a record|illegal alias|illegal host",
     .when = kPermanent},
    {.id = "nomail.556", .cls = kHard, .reason = Reason::kNoMail, .basic = "556"},

    // Precise enhanced codes.
    {.id = "code.address", .cls = kHard, .reason = Reason::kInvalidAddress, .enhanced = "5.1.1|5.1.3|5.1.351"},
    {.id = "code.domain", .cls = kHard, .reason = Reason::kBadDomain, .enhanced = "5.1.2|5.4.310"},
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
    {.id = "code.content", .cls = kSoft, .reason = Reason::kContent, .enhanced = "x.6.*"},
    {.id = "code.loop", .cls = kSoft, .reason = Reason::kRouting, .enhanced = "x.4.6|x.4.14"},

    // Providers whose words mean something of their own.
    {.id = "microsoft.directory",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .enhanced = "5.4.1",
     .phrases = "recipient address rejected: access denied",
     .provider = "protection.outlook.com"},
    // Orange, Wanadoo, La Poste number their replies; 416 is a recipient that is not there.
    {.id = "orange.recipient", .cls = kHard, .reason = Reason::kInvalidAddress, .phrases = "ofr*_416|lpn*_416", .when = kPermanent},
    {.id = "carrier.filter", .cls = kSoft, .reason = Reason::kFiltered, .phrases = "550 : user unknown"},

    // A server that looked into its own directory, and quotes nobody.
    {.id = "address.directory",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .phrases = "recipient name is not recognized|invalid final delivery userid|not listed in * directory|not listed in * address book|"
                "not listed in public name|unknown recipient|unknown user: <>|unknown local-part|unknown local "
                "part|resolver.adr.recipnotfound|recipnotfound|couldn't find any user|"
                "no matches to nameserver query|e-mail address could not be found|email address could not be found|address you entered "
                "couldn't be found|"
                "wasn't found at|couldn't be found|unrouteable address|unroutable address",
     .when = kPermanent | kNoPolicy},

    // Phrases of no such address or domain: only with a permanent code, and not said of the mail.
    {.id = "address.phrase",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .phrases =
         "user unknown|unknown user|unknown or illegal user|unknown or illegal alias|user is unknown|user * unknown|no such user|no such "
         "person|"
         "no such account|no such mailbox|no such recipient|no such address|no such local user|no such email|no such e-mail|no such "
         "name|no such id|"
         "user not found|user * not found|mailbox not found|account not found|recipient not found|address not found|mailbox * not found|"
         "recipient * not found|recipnotfound|resolver.adr.recipnotfound|resolver.adr.recipientnotfound|resolver.adr.ex*notfound|"
         "user does not exist|user doesn't exist|mailbox does not exist|account does not exist|address does not exist|recipient does not "
         "exist|"
         "does not exist|doesn't exist|not exist|do not exist|doesn't have a*account|doesn't have an account|does not have an account|no * "
         "account|"
         "no mailbox|no mailbox here|mailbox unknown|mailbox invalid|mailbox nonexistent|nonexistent user|non-existent user|nonexistent "
         "mailbox|"
         "invalid recipient|invalid recipients|invalid mailbox|invalid address|invalid user|invalid local*|invalid account|invalid final "
         "delivery userid|"
         "not a valid mailbox|not a valid user|not a valid recipient|not valid recipient|no valid recipients|no valid recipient|"
         "bad recipient|bad address|bad destination mailbox|bad mailbox|"
         "unknown recipient|unknown address|unknown mailbox|unknown local*|unknown account|unknown email|unknown user account|"
         "unknown or invalid|unknown virtual|unknown address error|recipient unknown|recipients unknown|recipient * unknown|"
         "address unknown|addressee unknown|account unknown|unknown to this system|unknown to address|"
         "unrouteable address|unroutable address|undeliverable address|undeliverable mail address|address undeliverable|not deliverable|"
         "not a known user|is not known|not known at|not known here|unable to find recipient|cannot find user|can't find user|"
         "not our user|not a local user|isn't a user|user account * not|user not known|user not exist|username|"
         "recipient name is not recognized|not recognized|not listed in|not in directory|not found in|no matches to|no match*name|"
         "is no longer valid|no longer valid|no longer available|no longer in use|no longer in service|no longer exists|no longer on|"
         "this address no longer|is not a valid|is not valid|isn't valid|address is invalid|recipient is invalid|mailaddress is "
         "administratively|"
         "requested action not taken: mailbox unavailable|mailbox unavailable|mailbox not available|mailbox is unavailable|"
         "mailbox name not allowed|not local mailbox|destinataire invalide|destinataire inconnu|utilisateur inconnu|"
         "adresse * invalide|adresse inconnue|unbekannter empf|recipient rejected * not|we don't handle mail for|"
         "no account by that name|no mailbox found|no one by that name|name not found|not found at|destination addresses were "
         "unknown|illegal user|"
         "unknown e-mail|user missing|there is no such|non-existent address|nonexistent address|no longer accepts mail|non "
         "existent|inexistent|"
         "usuario desconocido|no existe|utente sconosciuto|address rejected.$|address rejected$|address rejected <>$|address invalid|not "
         "have a user|cuda_nsu|dd this user|this user doesn't|there is no one|no one at|recipient is "
         "not|recipient no longer|user no longer|account that you tried to reach",
     .when = kPermanent | kOfAddress},
    {.id = "domain.phrase",
     .cls = kHard,
     .reason = Reason::kBadDomain,
     .phrases =
         "host unknown|unknown host|no such domain|no such host|domain not found|domain does not exist|domain doesn't exist|domain unknown|"
         "unknown domain|nonexistent domain|non-existent domain|no such domain name|invalid domain name|bad domain|bad destination system|"
         "host not found|host * not found|host or domain name not found|name or service not known|unrouteable mail domain|unroutable mail "
         "domain|"
         "couldn't find any host|could not find any host|find any host|domain * not exist|domain * does not exist|domain is not valid|"
         "domain must exist|domain is invalid|recipient domain * not|hostname does not "
         "exist|dns.nonexistentdomain|smtpsend.dns.nonexistentdomain|"
         "no such address here|nxdomain|domain name not found|host does not exist|host doesn't exist|bad host name|illegal "
         "host/domain|unable to route to "
         "domain|destination server not found in dns|unable to find * domain|not find your recipient's domain|"
         "domain lookup failed|all relevant mx records point to non-existent hosts",
     .when = kPermanent | kNoPolicy},
    // An unknown user that a filter or a program told, or nobody knows who: suspicion, not proof.
    {.id = "address.doubtful",
     .cls = kSoft,
     .reason = Reason::kFiltered,
     .phrases =
         "user unknown|unknown user|no such user|does not exist|invalid recipient|user not found|mailbox unavailable|unknown recipient|"
         "recipient unknown|no such mailbox|mailbox not found"},

    // Phrases of the way and the time.
    {.id = "routing.loop",
     .cls = kSoft,
     .reason = Reason::kRouting,
     .phrases = "loop|loops|looping|too many hops|hop count|hops|loops back to myself|routing loop|mail loop"},
    {.id = "routing.network",
     .cls = kSoft,
     .reason = Reason::kRouting,
     .phrases =
         "connection refused|connection reset|connection dropped|connection closed|connection lost|lost connection|network error|"
         "network is unreachable|network unreachable|no route to host|host unreachable|host is unreachable|name server|nameserver|"
         "lookup failure|lookup failed|lookup error|dns error|dns failure|dns lookup|server failure|servfail|cname|mx lookup|"
         "temporary failure in name resolution|tls|certificate|socket error|could not connect|couldn't connect|unable to connect|"
         "cannot connect|failed to connect|connect to|not reachable|did not accept our requests|host not reachable|remote host * respond"},
    {.id = "expired.phrase",
     .cls = kSoft,
     .reason = Reason::kExpired,
     .phrases = "timed out|timeout|time out|expired|retry time|retry timeout|too long|in the queue|giving up|could not deliver for|"
                "could not be delivered for|delivery time|will be retried|still being retried|delayed|delay|not yet been delivered|"
                "will keep trying|delivery attempts|undelivered after|unable to deliver in|past * hours"},
    {.id = "system.phrase",
     .cls = kSoft,
     .reason = Reason::kSystem,
     .phrases = "service unavailable|service not available|temporarily unavailable|system error|internal error|local error|server "
                "error|mailer error|"
                "configuration|out of memory|disk full|no space left|insufficient * storage|file system|i/o error|command output|"
                "resources temporarily|try again later|try later|later|busy|maintenance|overload|access denied|database|ldap"},
    {.id = "protocol.phrase",
     .cls = kSoft,
     .reason = Reason::kProtocol,
     .phrases =
         "syntax error|syntax|sequence of commands|bad sequence|command not|unrecognized command|malformed|protocol error|not implemented|"
         "parameter"},

    // Vague enhanced codes: none is proof against an address.
    {.id = "code.inactive", .cls = kSoft, .reason = Reason::kInactive, .enhanced = "x.2.1"},
    {.id = "code.mailbox", .cls = kSoft, .reason = Reason::kFiltered, .enhanced = "x.1.*|x.2.*"},
    {.id = "code.system", .cls = kSoft, .reason = Reason::kSystem, .enhanced = "x.3.*"},
    {.id = "code.expired", .cls = kSoft, .reason = Reason::kExpired, .enhanced = "x.4.7"},
    {.id = "code.routing", .cls = kSoft, .reason = Reason::kRouting, .enhanced = "x.4.*"},
    {.id = "code.protocol", .cls = kSoft, .reason = Reason::kProtocol, .enhanced = "x.5.*"},
    {.id = "code.policy", .cls = kSoft, .reason = Reason::kPolicy, .enhanced = "x.7.*"},

    // A recipient that is refused by name, without a reason.
    {.id = "address.refused",
     .cls = kHard,
     .reason = Reason::kInvalidAddress,
     .phrases = "recipient address rejected.$|recipient address rejected: access denied",
     .when = kPermanent | kOfAddress},

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
