// Where links carry the events that name it themselves.
#pragma once

#include "streams/task/pipeline.h"

namespace maily {

std::optional<task::Destination> ToAddress(std::string_view asked, uint16_t partition_count);      // AddressAsked
std::optional<task::Destination> ToReserver(std::string_view reserved, uint16_t partition_count);  // AddressReserved
std::optional<task::Destination> ToDenied(std::string_view denied, uint16_t partition_count);      // AddressDenied
// Of an address that lives with the contact: nowhere, it was freed when it was released.
std::optional<task::Destination> ToReleased(std::string_view released, uint16_t partition_count);    // AddressReleased
std::optional<task::Destination> ToForgotten(std::string_view forgotten, uint16_t partition_count);  // AddressForgotten
std::optional<task::Destination> ToOwner(std::string_view forwarded, uint16_t partition_count);      // CommandForwarded: as that command
std::optional<task::Destination> ToAsked(std::string_view asked, uint16_t partition_count);          // MergeAsked
std::optional<task::Destination> ToAsker(std::string_view agreed, uint16_t partition_count);         // MergeAgreed
std::optional<task::Destination> ToDeniedMerge(std::string_view denied, uint16_t partition_count);   // MergeDenied
std::optional<task::Destination> ToGivenUp(std::string_view given_up, uint16_t partition_count);     // MergeGivenUp
std::optional<task::Destination> ToTaker(std::string_view handed, uint16_t partition_count);         // ContactHandedOver
std::optional<task::Destination> ToClaimed(std::string_view claimed, uint16_t partition_count);      // AddressClaimed
std::optional<task::Destination> ToClaimer(std::string_view passed, uint16_t partition_count);       // AddressPassedOn
std::optional<task::Destination> ToMerged(std::string_view forgotten, uint16_t partition_count);     // MergedForgotten
std::optional<task::Destination> ToOptedOut(std::string_view passed, uint16_t partition_count);      // OptOutPassedOn
// Nowhere, unless they were of a contact that was merged.
std::optional<task::Destination> ToMergedOf(std::string_view destroyed, uint16_t partition_count);  // ContactKeysDestroyed
// Nowhere, unless somebody else asks for the address.
std::optional<task::Destination> ToOther(std::string_view added, uint16_t partition_count);           // SuppressionAdded
std::optional<task::Destination> ToOtherRemoved(std::string_view removed, uint16_t partition_count);  // SuppressionRemoved

}  // namespace maily
