// Pages for people, without an API key: a signed token says who, or which form.
//
//   GET  /p/{token}   the preference page: the tenant's public lists, those of the contact ticked
//   POST /p/{token}   changes them; action=leave_all: no marketing at all
//   GET  /y/{token}   what waits for a confirmation, and one button; changes nothing
//   POST /y/{token}   confirms; again 200; 410 once it has expired, with another mail offered: action=again, 409 within an hour of the last
//   GET  /f/{token}   a public form
//   POST /f/{token}   takes it: the same answer whoever the address is of
// A forged token is 404. A change answers 200 once it is durable, 503 if it is not. What people see is in German for those whose attribute
// `language` or `locale` says so, and in English. No page has a script. While read models are built anew, whoever wants no marketing at all
// can say so; the rest answers 503.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/http/router.h"
#include "streams/keyring/keyring.h"

namespace maily::api {

struct Shared;

// A client (an IPv4 address, an IPv6 site) may fill in so many forms in that time; beyond: 429. Up to kFormClientsMax are told apart; when
// as many are known within the time, others are refused.
inline constexpr int kFormPostsMax = 10;
inline constexpr Duration kFormWindow = Seconds(60);
inline constexpr size_t kFormClientsMax = 65'536;

// Names a form in its address; lives as long as links do.
std::string FormToken(TenantId tenant, uint64_t form_id, uint16_t partition_count, const keyring::TenantKeys& keys);

std::vector<http::Route> PeopleRoutes(std::shared_ptr<Shared> api);

}  // namespace maily::api
