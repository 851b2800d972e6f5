// See row.h.
#include "processors/messages/row.h"

#include "maily/assets/v1/state.pb.h"
#include "maily/consents/v1/state.pb.h"
#include "maily/contacts/v1/state.pb.h"
#include "maily/domains/v1/state.pb.h"
#include "maily/lists/v1/state.pb.h"
#include "maily/messages/v1/state.pb.h"
#include "maily/sends/v1/state.pb.h"
#include "maily/sites/v1/state.pb.h"
#include "maily/suppressions/v1/state.pb.h"
#include "maily/templates/v1/state.pb.h"
#include "maily/tenants/v1/state.pb.h"
#include "processors/messages/decide.h"
#include "processors/messages/evolve.h"
#include "processors/messages/slices.h"
#include "schemas/types.h"

namespace maily::messages {

task::Noun Row() {
  return task::Noun("messages", kEvolveVersion)
      .Owns<v1::MessageFormRef, v1::MessageFormCounter, v1::HeldForm, v1::MessageRun, v1::Message, v1::MessageQueued, v1::MessageLane,
            v1::AttachmentBlob>()
      .Reads<tenants::v1::Tenant, templates::v1::Template, templates::v1::TemplateName, domains::v1::Domain, contacts::v1::Contact,
             contacts::v1::ContactRef, contacts::v1::MergedContact, contacts::v1::ContactElsewhere, suppressions::v1::Suppression,
             suppressions::v1::SuppressedDomain, suppressions::v1::SuppressedDomainCounter, sends::v1::OpenAttempt, lists::v1::Subscriber,
             consents::v1::Person, sites::v1::SiteFlush, sites::v1::SiteFlushes, assets::v1::Asset, assets::v1::AssetName>()
      .Decides<v1::PrepareMessages>(Decide)
      .Decides<v1::MessageFormMade>(Decide)
      .Decides<v1::PostMessage>(Decide)
      .Decides<v1::ReleaseAttachments>(Decide)
      .Reacts<v1::MessageWanted>(React)
      .Reacts<v1::MessageWithdrawn>(React)
      .Evolves<v1::MessageFormMade>(Evolve)
      .Evolves<v1::MessageFormHeld>(Evolve)
      .Evolves<v1::MessageAccepted>(Evolve)
      .Evolves<v1::MessageWanted>(Evolve)
      .Evolves<v1::MessageWithdrawn>(Evolve)
      .Evolves<v1::MessagesFlushed>(Evolve)
      .Evolves<sends::v1::AttemptOpened>(Evolve)
      .Evolves<sends::v1::SendSkipped>(Evolve)
      .Evolves<sends::v1::AttemptDelivered>(Evolve)
      .Evolves<sends::v1::AttemptDeferred>(Evolve)
      .Evolves<sends::v1::AttemptBounced>(Evolve)
      .Evolves<sends::v1::AttemptUnknown>(Evolve)
      .Evolves<sends::v1::UnknownResolved>(Evolve)
      .Evolves<sends::v1::RetryDue>(Evolve)
      .Evolves<sends::v1::SendExpired>(Evolve)
      .Slices(kSendMessages, "send messages", SendMessage)
      .Timers(kExpireStep, "give a message up", Expire);
}

}  // namespace maily::messages
