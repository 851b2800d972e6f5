// See status_page.h.
#include "api/status_page.h"

#include "schemas/base64url.h"
#include "streams/base/html.h"
#include "streams/keyring/cipher.h"

namespace maily::api {
namespace {

constexpr std::string_view kStyle =
    "body{font:16px/1.5 system-ui,sans-serif;margin:6vh auto;max-width:64em;padding:0 1em}table{border-collapse:collapse;margin:.5em 0 "
    "1.5em}th,td{text-align:right;padding:.15em .8em .15em 0;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}"
    "h2{font-size:1.1em;margin:1em 0 0}input{font:inherit;width:30em;max-width:100%}button{font:inherit}";

constexpr std::string_view kScript = R"js(
"use strict";
const SHOWN_MAX = 20, EVERY_MS = 3000;
const byId = (id) => document.getElementById(id);
let timer = 0;

const add = (parent, tag, text) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
};

const ask = async (path) => {
  const answer = await fetch(path, {headers: {authorization: "Bearer " + sessionStorage.getItem("key")}, cache: "no-store"});
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.message), {status: answer.status});
  return body;
};

const table = (parent, rows) => {
  if (rows.length === 0) return;
  const made = add(parent, "table"), names = Object.keys(rows[0]);
  const head = add(made, "tr");
  for (const name of names) add(head, "th", name.replaceAll("_", " "));
  for (const row of rows) {
    const line = add(made, "tr");
    for (const name of names) add(line, "td", String(row[name] ?? ""));
  }
};

const show = async () => {
  clearTimeout(timer);
  if (!sessionStorage.getItem("key")) return;
  try {
    let found = [], token = "";
    do {
      const page = await ask("/v1/campaigns?page_size=1000" + (token ? "&page_token=" + encodeURIComponent(token) : ""));
      found = found.concat(page.items).slice(-SHOWN_MAX);
      token = page.next_page_token;
    } while (token);
    const fresh = document.createElement("div");
    for (const {id} of found.reverse()) {
      const one = await ask("/v1/campaigns/" + id);
      add(fresh, "h2", one.name + ": " + one.status);
      if (one.trouble) add(fresh, "p", one.trouble);
      table(fresh, [one.counts]);
      table(fresh, one.arms.map(({arm, ...rest}) => rest));
    }
    byId("campaigns").replaceChildren(fresh);
    byId("said").textContent = found.length === 0 ? "There is no campaign yet." : "";
    timer = setTimeout(show, EVERY_MS);
  } catch (error) {
    byId("said").textContent = error.message;
    if (error.status === 401 || error.status === 403) return sessionStorage.removeItem("key");
    timer = setTimeout(show, EVERY_MS);
  }
};

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", byId("key").value.trim());
  byId("key").value = "";
  show();
});
byId("forget").addEventListener("click", () => {
  sessionStorage.removeItem("key");
  clearTimeout(timer);
  byId("campaigns").replaceChildren();
  byId("said").textContent = "";
});
show();
)js";

// 'sha256-…' of the text between the tags, as CSP wants it: base64 with padding.
std::string HashSource(std::string_view text) {
  std::string base64 = schema::ToBase64Url(keyring::View(keyring::Sha256(text)));
  for (char& c : base64) c = c == '-' ? '+' : c == '_' ? '/' : c;
  return "'sha256-" + base64 + "='";  // 32 bytes are 43 characters and one of padding
}

std::string Policy() {
  return fmt::format(
      "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      HashSource(kScript), HashSource(kStyle));
}

}  // namespace

http::Response StatusPage(const Dependencies& parts) {
  const std::string why = parts.not_ready();
  const std::string banner = parts.banner.empty() ? "" : "<p role=\"status\"><b>" + Html(parts.banner) + "</b></p>";
  const std::string state = why.empty() ? "<b>ready</b>" : "<b>not ready</b>: " + Html(why);
  http::Response response = http::Response::Html(
      200,
      fmt::format(
          "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Maily</title><style>{}</style></head><body>{}"
          "<h1>Maily</h1><p>Version {}, {}.</p><ul><li><a href=\"/api/docs\">The API's routes, with examples</a></li>"
          "<li><a href=\"/api/openapi.json\">OpenAPI 3.1</a></li>"
          "<li><a href=\"/readyz\">Readiness</a>, <a href=\"/metrics\">metrics</a></li></ul>"
          "<form id=\"form\"><label for=\"key\">Campaigns, to who has an API key (the first start wrote one into <code>admin.key</code> "
          "in its data directory):</label><br><input id=\"key\" type=\"password\" autocomplete=\"off\" spellcheck=\"false\"> "
          "<button>Show</button> <button id=\"forget\" type=\"button\">Forget the key</button></form>"
          "<noscript><p>Without JavaScript: <code>maily campaign list</code>.</p></noscript>"
          "<p id=\"said\" role=\"status\"></p><div id=\"campaigns\"></div><script>{}</script></body></html>",
          kStyle, banner, Html(parts.version), state, kScript));
  static const std::string policy = Policy();
  response.headers.Add("content-security-policy", policy);
  response.headers.Add("x-content-type-options", "nosniff");
  response.headers.Add("referrer-policy", "no-referrer");
  response.headers.Add("cache-control", "no-store");
  return response;
}

}  // namespace maily::api
