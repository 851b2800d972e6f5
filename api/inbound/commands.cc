// See commands.h.
#include "api/inbound/commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "maily/engagements/v1/commands.pb.h"

namespace maily::inbound {
namespace {

constexpr size_t kTokenBytesMin = 20;
constexpr size_t kTokenBytesMax = 100;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool IsOfToken(char c) { return (Lower(c) >= 'a' && Lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

}  // namespace

bool LooksLikeToken(std::string_view local, char letter) {
  return local.size() >= kTokenBytesMin && local.size() <= kTokenBytesMax && Lower(local[0]) == letter &&
         std::ranges::all_of(local, IsOfToken);
}

std::string_view LocalOf(std::string_view address) { return address.substr(0, address.rfind('@')); }

Command OptOutOf(const Send& send, std::string_view method) {
  engagements::v1::RecordUnsubscribe command;
  command.set_campaign_id(send.campaign_id);
  command.set_ordinal(send.ordinal);
  command.set_method(std::string(method));
  gateway::Order order = gateway::PlainOrder(command, "");
  order.partition = send.partition;
  return {send.tenant, std::move(order)};
}

Command CommandOf(const Send& send, sends::v1::RecordNotice notice) {
  notice.set_campaign_id(send.campaign_id);
  notice.set_ordinal(send.ordinal);
  gateway::Order order = gateway::PlainOrder(notice, "");
  order.partition = send.partition;
  order.natural_key = fmt::format("notice/{}/{}/{}/{}/{}", send.campaign_id, send.ordinal, static_cast<int>(notice.kind()), notice.reason(),
                                  notice.status());
  return {send.tenant, std::move(order)};
}

}  // namespace maily::inbound
