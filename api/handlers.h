// The handlers of the table in routes.cc, a file a noun: commands become answers (submit.h), queries become rows (read.h).
#pragma once

#include "api/call.h"

namespace maily::api {

// inbound_mail.cc
void TakeInbound(Call call);

// webhooks.cc
void TakeWebhook(Call call);

// bounces.cc
void ReviewBounces(Call call);
void ApplyBounceReview(Call call);

// tenants.cc
void CreateTenant(Call call);
void ListTenants(Call call);
void ChangeSettings(Call call);
void ShowSettings(Call call);
void RegisterAttribute(Call call);
void ListAttributes(Call call);
void CreateKey(Call call);
void ListKeys(Call call);
void RevokeKey(Call call);

// segments.cc
void CreateSegment(Call call);
void ChangeSegment(Call call);
void ArchiveSegment(Call call);
void ListSegments(Call call);
void ShowSegment(Call call);
void ListSegmentMembers(Call call);
void PreviewSegment(Call call);
void ShowSegmentPreview(Call call);

// sites.cc
void ShowSite(Call call);
void SuspendSite(Call call);
void DrainSite(Call call);
void FlushSite(Call call);
void ResumeSite(Call call);
void ListSiteChanges(Call call);

// domains.cc
void AddDomain(Call call);
void ListDomains(Call call);
void ShowDomain(Call call);
void RotateDomain(Call call);
void ActivateDomain(Call call);
void CheckSendingDomain(Call call);
void RemoveDomain(Call call);

// contacts.cc
void UpsertContact(Call call);
void ListContacts(Call call);
void ShowContact(Call call);
void ListContactSends(Call call);
void ListContactEngagements(Call call);

// lists.cc
void CreateList(Call call);
void ListLists(Call call);
void ShowList(Call call);
void ListMembers(Call call);
void ShowImport(Call call);  // imports.cc
void ChangeMembers(Call call);

// suppressions.cc
void AddSuppression(Call call);
void AddSuppressions(Call call);
void ListSuppressions(Call call);
void CheckSuppression(Call call);
void RemoveSuppression(Call call);

// templates.cc
// What its author may want to know of a part in HTML.
Json WarningsJson(const Call& call, std::string_view html);
void SaveTemplate(Call call);
void AddAsset(Call call);
void ListAssets(Call call);
void ShowAsset(Call call);
void ArchiveAsset(Call call);
void RestoreAsset(Call call);
void DeleteAsset(Call call);
void ListTemplates(Call call);
void ShowTemplate(Call call);

// campaigns.cc
void CreateCampaign(Call call);
void ListCampaigns(Call call);
void ShowCampaign(Call call);
void LaunchCampaign(Call call);
void ScheduleCampaign(Call call);
void UnscheduleCampaign(Call call);
void ReleaseCampaign(Call call);
void ThrottleCampaign(Call call);
void PauseCampaign(Call call);
void ResumeCampaign(Call call);
void CancelCampaign(Call call);
void ShowReport(Call call);
void ShowPreview(Call call);  // preview.cc
void ListSkips(Call call);

// sends.cc
void ListSends(Call call);
void ShowSend(Call call);
void ListUnknown(Call call);
void ResolveUnknown(Call call);

// engagements.cc
void RecordEvent(Call call);
void RecordEvents(Call call);
void CountEngagements(Call call);

// commands.cc
void ShowCommand(Call call);

// service.cc
void ListDeadLetters(Call call);
void ShowLimits(Call call);

}  // namespace maily::api
