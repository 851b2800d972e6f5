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

// journeys.cc
void CreateJourney(Call call);
void ChangeJourney(Call call);
void ArchiveJourney(Call call);
void PauseJourney(Call call);
void ResumeJourney(Call call);
void ListJourneys(Call call);
void ShowJourney(Call call);
void ListContactJourneys(Call call);
// messages.cc
void PostOneMessage(Call call);
void TestTemplate(Call call);
void ListMessages(Call call);
void ShowMessage(Call call);
void ShowMessageMail(Call call);
void CountMessages(Call call);

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

// contact_changes.cc
void PatchContact(Call call);
void EraseContact(Call call);
void ShowErasure(Call call);
// contact_timeline.cc, contact_export.cc
void ShowContactTimeline(Call call);
void ExportContact(Call call);

// contacts.cc
void UpsertContact(Call call);
void ListContacts(Call call);
void ShowContact(Call call);
void ListContactSends(Call call);
void ListContactEngagements(Call call);

// export.cc
void ExportContacts(Call call);

// lists.cc
void CreateList(Call call);
void ListLists(Call call);
void ShowList(Call call);
void ListMembers(Call call);
void ChangeMembers(Call call);
void ChangeList(Call call);

// consents.cc
void ShowConsents(Call call);
void RecordConsent(Call call);
void DefineConsentText(Call call);
void ListConsentTexts(Call call);
void DefineForm(Call call);
void ListForms(Call call);
void ShowForm(Call call);
void ArchiveForm(Call call);

// imports.cc
void ListImports(Call call);
void ShowImport(Call call);
void ShowImportRejects(Call call);
void CancelImport(Call call);
void UndoImport(Call call);

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
void LintTemplate(Call call);
void SampleTemplate(Call call);  // preview.cc
void PutPartial(Call call);      // partials.cc
void ListPartials(Call call);
void ShowPartial(Call call);
void ArchivePartial(Call call);
void AddAsset(Call call);
void ListAssets(Call call);
void ShowAsset(Call call);
void ArchiveAsset(Call call);
void RestoreAsset(Call call);
void DeleteAsset(Call call);
void ListTemplates(Call call);
void ArchiveTemplate(Call call);
void RestoreTemplate(Call call);
void DeleteTemplate(Call call);
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
void FinishCampaign(Call call);
void CancelCampaign(Call call);
void EditCampaign(Call call);       // campaign_drafts.cc
void DeleteCampaign(Call call);     // likewise
void CloneCampaign(Call call);      // likewise
void ResendCampaign(Call call);     // likewise
void ApproveCampaign(Call call);    // likewise
void ShowLaunchPreview(Call call);  // likewise
void ChooseWinner(Call call);       // campaign_tests.cc
void PreviewAudience(Call call);    // audience.cc
void ShowReport(Call call);
void ShowPreview(Call call);  // preview.cc
void ListSkips(Call call);

// sends.cc
void ListSends(Call call);
void ShowSend(Call call);
void ShowSendMail(Call call);
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
