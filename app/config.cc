// See config.h.
#include "app/config.h"

#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>

#include "app/database.h"
#include "app/endpoint.h"
#include "app/held.h"
#include "app/open_blobs.h"
#include "streams/observe/logging.h"

namespace maily::app {
namespace {

// Edits from one to the other: letters put in, taken out or changed.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row.back();
}

std::string UnknownSetting(std::string_view name) {
  std::vector<std::string> names;
  for (const Setting& setting : Settings()) names.emplace_back(setting.name);
  const std::string nearest = NearestName(name, names);
  return fmt::format("unknown setting '{}'{}", name, nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest));
}

}  // namespace

std::string VariableOf(std::string_view name) {
  std::string variable = "MAILY_";
  for (const char c : name) variable.push_back(static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
  return variable;
}

const std::vector<Setting>& Settings() {
  using enum Setting::Kind;
  static const std::vector<Setting> settings = {
      {"data", "maily-data", kText, 0, 0, "directory of the log, the state, the keys and the read models"},
      {"log", "rocks", kText, 0, 0, "where the log is: rocks, in the data directory, or kafka://host:port[,host:port][/prefix of topics]"},
      {"kafka_properties", "", kText, 0, 0,
       "file with properties of the connection to Kafka: security.*, sasl.*, ssl.*, a name=value a line"},
      {"log_check_seconds", "30", kNumber, 1, 86400, "how often the settings of the topics of a log on Kafka are looked at, seconds"},
      {"public_topics",
       "auto",
       kChoice,
       0,
       0,
       "publish events to the topics campaigns, contacts, sends and engagements, which any Kafka client may read: on, off, or auto: on "
       "where "
       "the log is on Kafka",
       {"auto", "on", "off"}},
      {"public_format", "json", kChoice, 0, 0, "data of published events: json or protobuf", {"json", "protobuf"}},
      {"inbox",
       "auto",
       kChoice,
       0,
       0,
       "take in events that producers write to the topic inbox: on, off, or auto: on where the log is on Kafka",
       {"auto", "on", "off"}},
      {"inbox_tenants", "", kText, 0, 0,
       "further tenants, by number, that have an inbox, the topic inbox.<number>: 2,3; who may write to it speaks for that tenant"},
      {"listen", "127.0.0.1:8080", kEndpoint, 0, 0, "address of the HTTP API and of tracking links"},
      {"db", "sqlite", kDatabase, 0, 0,
       "where the read models are: sqlite (in the data directory), postgresql://user@host/database, or env:NAME or file:PATH that hold "
       "such "
       "a string with its password"},
      {"keyring", "rocks", kDatabase, 0, 0,
       "where the keys are that seal personal data: rocks (in the data directory), or in PostgreSQL, for several processes: as db"},
      {"root_key", "", kText, 0, 0,
       "file of the key that wraps the others, the same for all processes of a keyring; made if there is none; default "
       "<data>/keys/root.key"},
      {"tracking_base_url", "", kText, 0, 0, "what links in mails begin with; default http://<listen>"},
      {"honeypot_links",
       "off",
       kChoice,
       0,
       0,
       "a link in HTML mails that no person sees, so that who follows it is known to be a machine: off or on; for mails that are tracked, "
       "the same "
       "for all processes of a log",
       {"off", "on"}},
      {"partitions", "16", kNumber, 1, 1024, "partitions of a new log; fixed once the data directory exists"},
      {"roles", "all", kText, 0, 0,
       "what this process does: all, or some of tasks,effects,projections,links,gateway,api; tasks and effects go together"},
      {"lead", "all", kText, 0, 0,
       "which partitions it leads: all; group: those that the processes of one log on Kafka share out among them; or a list, 0-7,12"},
      {"workers", "2", kNumber, 1, 64, "threads that decide; partitions are pinned to them"},
      {"trusted_proxies", "", kText, 0, 0,
       "proxies whose word is taken of who asks, networks like 10.0.0.0/8,2001:db8::/32: a request from one of them comes from the last "
       "address in forwarded_header that is none of them; empty: no word is taken"},
      {"forwarded_header",
       "x-forwarded-for",
       kChoice,
       0,
       0,
       "the header that all of these proxies write: x-forwarded-for, or forwarded (RFC 7239); the other one is not looked at",
       {"x-forwarded-for", "forwarded"}},
      {"scanner_networks", "", kText, 0, 0,
       "file of networks that scanners of links and mail gateways ask from, one like 203.0.113.0/24 a line, # before a comment: opens and "
       "clicks from there are a machine's, whatever it says that it is; read at the start"},
      {"http_threads", "1", kNumber, 1, 64, "threads that answer HTTP"},
      {"relay", "127.0.0.1:2525", kEndpoint, 0, 0, "SMTP relay that mail is handed to, host:port"},
      {"relay_connections", "16", kNumber, 1, 1000, "connections kept to the relay, over all workers"},
      {"relay_tls",
       "opportunistic",
       kChoice,
       0,
       0,
       "STARTTLS to the relay: off, opportunistic (if it is offered, whatever its certificate), required, or verified: required, and the "
       "certificate must be of the relay's name and of a trusted authority",
       {"off", "opportunistic", "required", "verified"}},
      {"relay_roots", "", kText, 0, 0,
       "file of PEM certificates of trusted authorities, for those of the relay or of mail servers; default: the system's"},
      {"relay_user", "", kText, 0, 0, "user for the login at the relay; only with relay_tls required or verified"},
      {"relay_password", "", kSecret, 0, 0, "its password: env:NAME or file:PATH, which hold it"},
      {"relay_provider",
       "none",
       kChoice,
       0,
       0,
       "provider that the relay is of, if mails have to tell it their id for its webhooks to name them: sendgrid or postmark; none: "
       "another "
       "or none",
       {"none", "sendgrid", "postmark"}},
      {"routing",
       "relay",
       kChoice,
       0,
       0,
       "where mail is handed to: relay, or mx: the mail servers of each recipient's domain, by the DNS",
       {"relay", "mx"}},
      {"mx_port", "25", kNumber, 1, 65535, "port of mail servers, where routing is mx"},
      {"mx_connections", "200", kNumber, 1, 10000, "connections to mail servers, over all sites and workers, where routing is mx"},
      {"mx_private", "off", kChoice, 0, 0, "mail servers on this machine or in private networks: off or on", {"off", "on"}},
      {"mta_sts",
       "on",
       kChoice,
       0,
       0,
       "keep to what domains ask of those who send to them (RFC 8461), where routing is mx: on or off",
       {"on", "off"}},
      {"dane", "off", kChoice, 0, 0, "not implemented: off", {"off", "on"}},
      {"routes", "", kText, 0, 0, "YAML file of mails that are handed to a relay, by tenant and domain, where routing is mx"},
      {"site_policies", "", kText, 0, 0, "YAML file with limits of sites, where routing is mx"},
      {"tenant_weights", "", kText, 0, 0,
       "parts that tenants get of a site, or of the relay, that several want more of than it takes: id:weight[,id:weight], from 1 to 1000; "
       "a "
       "tenant that is not named has 1"},
      {"dns_servers", "", kText, 0, 0,
       "DNS servers that are asked, address:port[,address:port]; default: those of /etc/resolv.conf; a sandbox asks those on loopback "
       "alone"},
      {"sources", "", kText, 0, 0,
       "YAML file of addresses of this machine that mails leave from, and of pools of them, where routing is mx; empty: the system "
       "chooses"},
      {"source_addresses", "", kText, 0, 0,
       "IP addresses that mails leave from, 192.0.2.1,2001:db8::1; maily domain check looks at their reverse DNS, and "
       "at that of the file of sources; empty, and no such file: it does not"},
      {"helo_name", "localhost", kText, 0, 0, "name given in EHLO"},
      {"mail_listen", "", kEndpoint, 0, 0,
       "address that takes in mail that comes back (bounces, complaints) by SMTP, host:port, by the role api; empty: none is taken in"},
      {"mail_host", "", kText, 0, 0,
       "name of the host that takes it in, as the MX records of return paths say it; mails then offer an opt-out by mail to it, too"},
      {"mail_certificate", "", kText, 0, 0, "file with its certificate chain, PEM, for STARTTLS; empty: STARTTLS is not offered"},
      {"mail_key", "", kText, 0, 0, "file with the certificate's private key, PEM"},
      {"mail_pickup", "", kText, 0, 0,
       "mailbox that bounces are delivered to, pop3s://host or imaps://host/INBOX: its mails are fetched, and taken out of it, by the "
       "process "
       "with the roles tasks and api that leads partition 0; empty: none"},
      {"mail_pickup_user", "", kText, 0, 0, "user for the login there"},
      {"mail_pickup_password", "", kSecret, 0, 0, "its password: env:NAME or file:PATH, which hold it"},
      {"mail_pickup_seconds", "60", kNumber, 1, 86400, "how often the mailbox is looked into, seconds"},
      {"webhook_ses_topics", "", kText, 0, 0,
       "topics of SNS, arn:…[,arn:…], whose notices of SES are taken at /v1/webhooks/ses, by the role api; empty: none are taken"},
      {"webhook_ses_secret", "", kSecret, 0, 0,
       "for subscriptions with raw delivery, which is not signed: the secret in their URL (?secret=), or user:password of HTTP basic; "
       "env:NAME or file:PATH, which hold it; empty: raw delivery is not taken"},
      {"webhook_sendgrid_key", "", kText, 0, 0,
       "verification key of SendGrid's Event Webhook, or env:NAME or file:PATH, which hold it; empty: its notices are not taken"},
      {"webhook_postmark_secret", "", kSecret, 0, 0,
       "the secret in the URL of Postmark's webhooks (?secret=), or user:password of HTTP basic: env:NAME or file:PATH, which hold it; "
       "empty: its notices are not taken"},
      {"webhook_mailgun_key", "", kSecret, 0, 0,
       "HTTP webhook signing key of Mailgun: env:NAME or file:PATH, which hold it; empty: its notices are not taken"},
      {"fetch_roots", "", kText, 0, 0,
       "file of PEM certificates that are trusted besides the system's where pages are fetched over HTTPS: certificates of SNS, "
       "policies of MTA-STS; and for the mailbox of mail_pickup"},
      {"fetch_routes", "", kText, 0, 0,
       "hosts of such pages that are at fixed addresses, host=address:port[,…]: no look-up; the certificate is for the host all the same"},
      {"state_cache_mb", "256", kNumber, 8, 1 << 20, "memory for the state of all partitions together, MiB"},
      {"flush_journal_mb", "64", kNumber, 1, 1 << 16,
       "journal written between flushes of the state, over all partitions, MiB; bounds a restart"},
      {"assets", "", kBlobs, 0, 0,
       "folder (or file:///folder) of images and attachments, sealed; processes of one log share it; empty: assets in data, and none on "
       "Kafka"},
      {"asset_kb_max", "2048", kNumber, 1, 16384, "largest image or attachment that is taken, KiB"},
      {"asset_types", "image/png,image/jpeg,image/gif,image/webp,application/pdf,text/calendar", kText, 0, 0,
       "media types that are taken, comma between them"},
      {"asset_scanner", "", kText, 0, 0,
       "virus scanner, which gets each asset on its standard input before it is stored: a program and its arguments, blanks between them, "
       "like clamdscan --no-summary -; it ends with 0 if the asset is clean, with 1 if not; empty: none"},
      {"asset_scan_s", "30", kNumber, 1, 300, "longest time that the scanner may take for one asset, seconds"},
      {"mail_kb_max", "5120", kNumber, 64, 51200,
       "largest mail with all that it encloses, KiB; looked at when a template is saved and launched"},
      {"mjml_modules", "", kText, 0, 0,
       "folder node_modules with the module mjml, by which templates in MJML are compiled; empty: none are taken"},
      {"mjml_node", "node", kText, 0, 0, "the program node for it"},
      {"snapshots", "", kBlobs, 0, 0,
       "folder (or file:///folder) that the processes share: snapshots of the state are put there, and who has no store of a partition "
       "starts "
       "from them; empty: none"},
      {"snapshot_journal_mb", "256", kNumber, 1, 1 << 20, "journal written between two snapshots of a partition, over all partitions, MiB"},
      {"snapshot_minutes", "60", kNumber, 1, 100000, "time after which a partition in which anything was decided gets another snapshot"},
      {"commands_retention_days", "7", kNumber, 0, 36500, "commands that are decided are kept for so many days, then trimmed; 0: for ever"},
      {"command_queue_mb", "64", kNumber, 1, 1 << 16, "commands waiting to be appended, MiB; beyond it requests get 503"},
      {"log_level", "info", kLevel, 0, 0, "debug, info, warn or error"},
      {"shutdown_seconds", "30", kNumber, 1, 600, "time for a clean stop after SIGTERM"},
  };
  return settings;
}

Config::Config() {
  for (const Setting& setting : Settings()) values_.push_back({std::string(setting.fallback)});
}

size_t Config::Index(std::string_view name) const {
  for (size_t i = 0; i < Settings().size(); ++i) {
    if (Settings()[i].name == name) return i;
  }
  MAILY_CHECK(false, "no setting {}", name);
}

Result<void> Config::Set(std::string_view name, const std::string& value, const std::string& source) {
  for (size_t i = 0; i < Settings().size(); ++i) {
    const Setting& setting = Settings()[i];
    if (setting.name != name) continue;
    if (setting.kind == Setting::Kind::kNumber) {
      int64_t number = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (error != std::errc() || end != value.data() + value.size() || number < setting.least || number > setting.most) {
        return Fail(Code::kInvalid, "{}: {} must be a number from {} to {}, not '{}'", source, name, setting.least, setting.most, value);
      }
    }
    if (setting.kind == Setting::Kind::kSwitch && value != "true" && value != "false") {
      return Fail(Code::kInvalid, "{}: {} must be true or false, not '{}'", source, name, value);
    }
    const bool may_be_empty = setting.fallback.empty();
    if (setting.kind == Setting::Kind::kEndpoint && !(value.empty() && may_be_empty) && !ParseEndpoint(value)) {
      return Fail(Code::kInvalid, "{}: {} must be host:port, not '{}'", source, name, value);
    }
    if (setting.kind == Setting::Kind::kLevel && !observe::LevelFromName(value)) {
      return Fail(Code::kInvalid, "{}: {} must be debug, info, warn or error, not '{}'", source, name, value);
    }
    if (setting.kind == Setting::Kind::kChoice && std::ranges::find(setting.choices, value) == setting.choices.end()) {
      return Fail(Code::kInvalid, "{}: {} must be one of {}, not '{}'", source, name, fmt::join(setting.choices, ", "), value);
    }
    if (setting.kind == Setting::Kind::kDatabase) {
      if (auto fits = CheckDatabase(name, setting.fallback, value); !fits)
        return Fail(Code::kInvalid, "{}: {}", source, fits.error().message);
    }
    if (setting.kind == Setting::Kind::kBlobs) {
      if (auto fits = CheckBlobs(name, value); !fits) return Fail(Code::kInvalid, "{}: {}", source, fits.error().message);
    }
    if (setting.kind == Setting::Kind::kSecret && !value.empty() && !IsHeldElsewhere(value)) {
      return Fail(Code::kInvalid, "{}: {} must be env:NAME or file:PATH, which hold it, so that others do not see it here", source, name);
    }
    values_[i] = {value, source};
    return Ok();
  }
  return Fail(Code::kInvalid, "{}: {}", source, UnknownSetting(name));
}

Result<void> Config::LoadFile(const std::string& path) {
  try {
    const YAML::Node root = YAML::LoadFile(path);
    if (root.IsNull()) return Ok();
    if (!root.IsMap()) return Fail(Code::kInvalid, "{}:1: settings are 'name: value' lines", path);
    std::set<std::string> seen;
    for (const auto& item : root) {
      const std::string source = fmt::format("{}:{}", path, item.first.Mark().line + 1);
      if (!item.second.IsScalar()) return Fail(Code::kInvalid, "{}: {} must have one value", source, item.first.Scalar());
      if (!seen.insert(item.first.Scalar()).second) return Fail(Code::kInvalid, "{}: {} stands twice", source, item.first.Scalar());
      MAILY_TRY_VOID(Set(item.first.Scalar(), item.second.Scalar(), source));
    }
    return Ok();
  } catch (const YAML::BadFile&) {
    return Fail(Code::kInvalid, "{}: cannot be read", path);
  } catch (const YAML::Exception& error) {
    return Fail(Code::kInvalid, "{}:{}: {}", path, error.mark.line + 1, error.msg);
  }
}

namespace {

// A variable that is one or two letters off a setting is meant to be one; others that begin so may be anybody's.
Result<void> RefuseMisspelled() {
  std::vector<std::string> names = {"MAILY_SERVER", "MAILY_KEY", "MAILY_KEY_FILE"};
  for (const Setting& setting : Settings()) names.push_back(VariableOf(setting.name));
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string variable(text.substr(0, text.find('=')));
    if (!variable.starts_with("MAILY_") || std::ranges::find(names, variable) != names.end()) continue;
    const std::string nearest = NearestName(variable, names);
    if (!nearest.empty() && Distance(variable, nearest) <= 2) {
      return Fail(Code::kInvalid, "{}: unknown setting; did you mean {}?", variable, nearest);
    }
  }
  return Ok();
}

}  // namespace

Result<void> Config::LoadEnvironment() {
  for (const Setting& setting : Settings()) {
    const std::string variable = VariableOf(setting.name);
    if (const char* value = std::getenv(variable.c_str())) MAILY_TRY_VOID(Set(setting.name, value, variable));
  }
  return RefuseMisspelled();
}

const std::string& Config::Text(std::string_view name) const { return values_[Index(name)].text; }
int64_t Config::Number(std::string_view name) const { return std::strtoll(Text(name).c_str(), nullptr, 10); }
bool Config::Switch(std::string_view name) const { return Text(name) == "true"; }
const std::string& Config::Source(std::string_view name) const { return values_[Index(name)].source; }

Result<std::vector<std::string>> ListOf(const Config& config, std::string_view setting, size_t most) {
  std::vector<std::string> elements;
  std::string_view text = config.Text(setting);
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view element = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (element.starts_with(' ')) element.remove_prefix(1);
    while (element.ends_with(' ')) element.remove_suffix(1);
    elements.emplace_back(element);
  }
  if (elements.size() > most) {
    return Fail(Code::kInvalid, "{}: {} names {}, more than {}", config.Source(setting), setting, elements.size(), most);
  }
  return elements;
}

std::string NearestName(std::string_view name, const std::vector<std::string>& names) {
  std::string nearest;
  size_t best = name.size() / 2 + 1;
  for (const std::string& candidate : names) {
    if (const size_t distance = Distance(name, candidate); distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace maily::app
