// See routes.h.
#include "api/routes.h"

#include "api/attachments.h"
#include "api/contact_address.h"
#include "api/contact_merge.h"
#include "api/engagements.h"
#include "api/esp/notice.h"
#include "api/handlers.h"
#include "api/inbound_mail.h"
#include "api/journeys.h"

namespace maily::api {
namespace {

using gateway::Scope;
using http::Method;
constexpr Method kGet = Method::kGet, kPost = Method::kPost, kPut = Method::kPut, kPatch = Method::kPatch, kDelete = Method::kDelete;

constexpr RouteRow kRoutes[] = {
    // Tenants: the platform's operator makes them, each sets itself up.
    {kPost, "/v1/tenants", Scope::kAdmin, "Create a tenant", "CreateTenant", R"({"name":"acme"})", CreateTenant},
    {kGet, "/v1/tenants", Scope::kAdmin, "List tenants", "tenants", "", ListTenants},
    {kPut, "/v1/settings", Scope::kAdmin, "Change the settings that are given", "ChangeSettings",
     R"({"senders":["news@shop.example.com"],"company":"Example Shop","postal_address":"1 Main Street, Springfield"})", ChangeSettings},
    {kGet, "/v1/settings", Scope::kRead, "Show the settings", "settings", "", ShowSettings},
    {kPost, "/v1/attributes", Scope::kAdmin, "Register an attribute of contacts", "RegisterAttribute",
     R"({"name":"recency","type":"integer","personal":false})", RegisterAttribute},
    {kGet, "/v1/attributes", Scope::kRead, "List registered attributes", "attributes", "", ListAttributes},
    {kPost, "/v1/keys", Scope::kAdmin, "Create an API key; it is shown once", "CreateApiKey", R"({"label":"shop","scopes":["ingest"]})",
     CreateKey},
    {kGet, "/v1/keys", Scope::kAdmin, "List API keys", "api_keys", "", ListKeys},
    {kDelete, "/v1/keys/{id}", Scope::kAdmin, "Revoke an API key", "RevokeApiKey", "", RevokeKey},
    // Domains that mails come from.
    {kPost, "/v1/domains", Scope::kAdmin, "Add a sending domain, with keys that sign its mails", "AddDomain",
     R"({"name":"shop.example.com"})", AddDomain},
    {kGet, "/v1/domains", Scope::kRead, "List sending domains", "domains", "", ListDomains},
    {kGet, "/v1/domains/{name}", Scope::kRead, "Show a domain: its keys, the DNS records to publish, the last check", "domain", "",
     ShowDomain},
    {kPost, "/v1/domains/{name}:rotate", Scope::kAdmin, "Make new keys, to be published before they sign", "AddDomainKeys", "",
     RotateDomain},
    {kPost, "/v1/domains/{name}:activate", Scope::kAdmin, "Let the new keys sign in place of the old ones", "ActivateDomainKeys", "",
     ActivateDomain},
    {kPost, "/v1/domains/{name}:check", Scope::kAdmin, "Look whether the DNS has what receivers want; a line for each rule, with a fix",
     "RecordDomainCheck", "", CheckSendingDomain},
    {kDelete, "/v1/domains/{name}", Scope::kAdmin, "Remove a domain: its mails are not signed any more", "RemoveDomain", "", RemoveDomain},
    // Contacts and lists.
    {kPost, "/v1/contacts", Scope::kWrite, "Create a contact, or merge into it: absent stays, null removes", "UpsertContact",
     R"({"email":"ann@example.com","attributes":{"first_name":"Ann"},"lists":[1]})", UpsertContact},
    {kGet, "/v1/contacts", Scope::kRead, "List contacts, or find one by its address", "contacts", "?email=ann%40example.com", ListContacts},
    {kGet, "/v1/contacts:export", Scope::kRead,
     "A page of contacts as CSV or NDJSON, of all or of a list; Maily-Next-Page-Token names the next one, Maily-Rows counts", "contacts",
     "?format=csv&list=1&columns=first_name,city", ExportContacts},
    {kGet, "/v1/contacts/{id}", Scope::kRead, "Show a contact", "contact", "", ShowContact},
    {kPatch, "/v1/contacts/{id}", Scope::kWrite, "Merge into a contact: absent stays, null removes", "PatchContact",
     R"({"attributes":{"plan":"pro","trial_ends":null},"add_tags":["vip"],"remove_tags":["trial"]})", PatchContact, size_t{64} << 10},
    {kDelete, "/v1/contacts/{id}", Scope::kWrite, "Erase a person: the keys of all that is known are destroyed; 202 with a receipt",
     "EraseContact", "", EraseContact},
    {kPost, "/v1/contacts/{id}:erase", Scope::kWrite, "The same", "EraseContact", "", EraseContact},
    {kGet, "/v1/contacts/{id}/erasure", Scope::kRead,
     "The receipt of an erasure: where it stands in the journal, and whether the keys are gone", "erased_contact", "", ShowErasure},
    {kPost, "/v1/contacts/{id}/address", Scope::kWrite,
     "Give a contact another address: what it is, was sent and agreed to stays; 409 names who has it, 202 if that is not known yet",
     "ChangeAddress", R"({"email":"ann@new.example"})", ChangeContactAddress},
    {kGet, "/v1/contacts/{id}/address", Scope::kRead, "The address of a contact, and what became of the newest change", "address_change",
     "", ShowContactAddress},
    {kPost, "/v1/contacts/{id}/merge", Scope::kWrite,
     "Merge a contact into another: that one gets what it lacks, the most restrictive consent of both, and the address; 409 or 422 says "
     "why not, 202 if that is not known yet",
     "MergeContact", R"({"into":"cara@example.com"})", MergeContact},
    {kGet, "/v1/contacts/{id}/merge", Scope::kRead, "Whom a contact was merged into, and what became of the newest merge", "contact_merge",
     "", ShowContactMerge},
    {kGet, "/v1/contacts/{id}/timeline", Scope::kRead, "Everything that happened to a contact, the newest first", "timeline_of_contact", "",
     ShowContactTimeline},
    {kGet, "/v1/contacts/{id}/export", Scope::kRead,
     "All that is known of a contact, to give to the person; as JSON, or a page (format=html)", "contact", "?format=html", ExportContact},
    {kGet, "/v1/contacts/{id}/sends", Scope::kRead, "What was sent to a contact, or why not", "sends_of_contact", "", ListContactSends},
    {kGet, "/v1/contacts/{id}/journeys", Scope::kRead, "Where a contact is in its journeys: what comes next, when and why, and what was",
     "journeys_of_contact", "", ListContactJourneys},
    {kGet, "/v1/contacts/{id}/engagements", Scope::kRead, "What a contact did", "engagements_of_contact", "", ListContactEngagements},
    {kPost, "/v1/imports", Scope::kWrite, "Import contacts from CSV or NDJSON; 202 and the job, whose Location tells how it ends",
     "ImportRows", "?list=1&source=shop&dry_run=false&map=E-mail%3Demail&header=true&encoding=utf-8&from=any&max_errors=100&consent=false",
     nullptr},
    {kGet, "/v1/imports", Scope::kRead, "List imports", "imports", "", ListImports},
    {kGet, "/v1/imports/{id}", Scope::kRead, "How an import goes on, or what it came to", "import", "", ShowImport},
    {kGet, "/v1/imports/{id}/rejects", Scope::kRead, "The rows of an import that were not taken, as CSV: line, column, code, reason, raw",
     "import", "", ShowImportRejects},
    {kPost, "/v1/imports/{id}:cancel", Scope::kWrite, "Apply no more rows of an import", "", "", CancelImport},
    {kPost, "/v1/imports/{id}:undo", Scope::kWrite, "Put back what an import changed and nobody has changed since; 202 and the job",
     "RestoreContacts", "", UndoImport},
    {kPost, "/v1/lists", Scope::kWrite, "Create a list; a public one stands on the preference page", "CreateList",
     R"({"name":"customers","public":true,"description":"One mail a week"})", CreateList},
    {kGet, "/v1/lists", Scope::kRead, "List lists", "lists", "", ListLists},
    {kGet, "/v1/lists/{id}", Scope::kRead, "Show a list and its size", "list", "", ShowList},
    {kPut, "/v1/lists/{id}", Scope::kWrite, "Change what is given of a list", "ChangeList",
     R"({"name":"customers","public":true,"description":"One mail a week"})", ChangeList},
    {kGet, "/v1/lists/{id}/members", Scope::kRead, "List the members of a list, now or at a time", "list_members_at",
     "?as_of=2026-01-01T00:00:00Z", ListMembers},
    {kPost, "/v1/lists/{id}/members", Scope::kWrite, "Put a contact on a list, or take it off", "JoinList",
     R"({"email":"ann@example.com","leave":false})", ChangeMembers},
    // Consents.
    {kGet, "/v1/contacts/{id}/consents", Scope::kRead, "What a contact consented to, now or at a time, and how that came about",
     "consents_of_contact", "?as_of=2026-01-01T00:00:00Z", ShowConsents},
    {kPost, "/v1/contacts/{id}/consents", Scope::kWrite,
     "Record that a contact consents to a list or a named purpose, or withdraws it; with double_opt_in it is pending until it is "
     "confirmed, and with "
     "mail the link is mailed",
     "RecordConsent",
     R"({"list_id":1,"state":"granted","source":"call","text":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","proof":"call of 3 May","ip":"192.0.2.1","user_agent":"Firefox","double_opt_in":true,"mail":true,"template":"please-confirm","version":1,"from":"Shop <news@shop.example.com>"})",
     RecordConsent, kBodyBytesMax},
    {kPost, "/v1/consent-texts", Scope::kWrite, "Register what people read when they consent; its id is its SHA-256", "DefineConsentText",
     R"({"name":"newsletter","language":"en","text":"Yes, send me the newsletter."})", DefineConsentText},
    {kGet, "/v1/consent-texts", Scope::kRead, "List consent texts", "consent_texts", "", ListConsentTexts},
    {kPost, "/v1/forms", Scope::kWrite, "Define a public form that puts people on a list; its address is in the answer of GET",
     "DefineForm",
     R"({"name":"footer","list_id":1,"text":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","double_opt_in":true,"template":"please-confirm","version":1,"from":"Shop <news@shop.example.com>","redirect_url":"https://shop.example.com/thanks"})",
     DefineForm},
    {kGet, "/v1/forms", Scope::kRead, "List forms", "forms", "", ListForms},
    {kGet, "/v1/forms/{id}", Scope::kRead, "Show a form and its address", "form", "", ShowForm},
    {kPost, "/v1/forms/{id}:archive", Scope::kWrite, "Take a form away: its address leads nowhere any more", "ArchiveForm", "",
     ArchiveForm},
    // Suppressions.
    {kPost, "/v1/suppressions", Scope::kWrite, "Never mail this address; or, with domain instead of email, any at that domain",
     "AddSuppression", R"({"email":"ann@example.com","reason":"manual","stream":"all","note":"asked on the phone"})", AddSuppression},
    {kPost, "/v1/suppressions:batch", Scope::kWrite, "The same for up to 1,000 addresses and domains", "AddSuppression",
     R"({"suppressions":[{"email":"ann@example.com"},{"email":"bob@example.com","reason":"unsubscribed","stream":"marketing"}]})",
     AddSuppressions},
    {kGet, "/v1/suppressions", Scope::kRead, "List suppressions, the oldest first, or look for one address", "suppressions",
     "?email=ann%40example.com&reason=manual&since=2026-01-01T00:00:00Z", ListSuppressions, kBodyBytesMax, "domain"},
    {kGet, "/v1/suppressions:check", Scope::kRead, "Whether mail to an address is stopped, and by which entries", "suppressions_of_address",
     "?email=ann%40example.com", CheckSuppression},
    {kDelete, "/v1/suppressions", Scope::kWrite, "Lift a suppression", "RemoveSuppression", "?email=ann%40example.com&reason=asked",
     RemoveSuppression, kBodyBytesMax, "domain"},
    // Assets: images and files for mails.
    {kPost, "/v1/assets", Scope::kWrite,
     "Upload an image or file; the body is its bytes. HTML names it cid:NAME (enclosed) or asset:NAME (hosted)", "AddAsset",
     "?name=logo.png", AddAsset, schema::AssetStore::kBytesMax, kFileBody},
    {kGet, "/v1/assets", Scope::kRead, "List assets", "assets", "?archived=true", ListAssets},
    {kGet, "/v1/assets/{id}", Scope::kRead, "Show an asset, its address, and the template versions that use it", "asset", "", ShowAsset},
    {kPost, "/v1/assets/{id}:archive", Scope::kWrite, "Let no new template version use an asset", "ArchiveAsset", "", ArchiveAsset},
    {kPost, "/v1/assets/{id}:restore", Scope::kWrite, "Let template versions use an archived asset again", "ArchiveAsset", "",
     RestoreAsset},
    {kDelete, "/v1/assets/{id}", Scope::kWrite, "Delete an asset that no template version was ever saved with (409 otherwise)",
     "DeleteAsset", "", DeleteAsset},
    // Segments.
    {kPost, "/v1/segments", Scope::kWrite, "Define a segment, in the text or the JSON form of docs/segments.md", "DefineSegment",
     R"({"name":"active pros","where":"plan = \"pro\" and clicked(last: 7d) >= 1"})", CreateSegment},
    {kGet, "/v1/segments", Scope::kRead, "List segments", "segments", "", ListSegments},
    {kGet, "/v1/segments/{id}", Scope::kRead, "Show a segment: its expression, versions and size, now or at a time", "segment",
     "?as_of=2026-01-01T00:00:00Z", ShowSegment},
    {kPut, "/v1/segments/{id}", Scope::kWrite, "Give a segment a new version; look at its preview before", "DefineSegment",
     R"({"where":{"attribute":"plan","op":"=","value":"pro"},"based_on":1})", ChangeSegment},
    {kGet, "/v1/segments/{id}/members", Scope::kRead, "List the members of a segment, now or at a time", "segment",
     "?as_of=2026-01-01T00:00:00Z", ListSegmentMembers},
    {kPost, "/v1/segments/{id}:archive", Scope::kWrite, "Archive a segment: it has no members any more", "ArchiveSegment", "",
     ArchiveSegment},
    {kPost, "/v1/segments:preview", Scope::kWrite,
     "Count whom an expression selects, with samples; and, compared with a segment, who would enter and who leave", "PreviewSegment",
     R"({"where":"plan = \"pro\"","segment_id":1})", PreviewSegment},
    {kGet, "/v1/segment-previews/{id}", Scope::kRead, "How a preview goes on, or what it came to", "segment_preview", "",
     ShowSegmentPreview},
    // Journeys.
    {kPost, "/v1/journeys", Scope::kWrite, "Define a journey and publish it: docs/journeys.md", "DefineJourney",
     R"({"name":"welcome","entry":{"event":"signed_up"},"steps":[{"id":"wait","type":"delay","for":"3d"}]})", CreateJourney},
    {kGet, "/v1/journeys", Scope::kRead, "List journeys", "journeys", "", ListJourneys},
    {kGet, "/v1/journeys/{id}", Scope::kRead, "Show a journey: its definition, its versions, and what every step has seen", "journey", "",
     ShowJourney},
    {kPut, "/v1/journeys/{id}", Scope::kWrite, "Give a journey a new version; who is in it stays in theirs, but for those that move names",
     "DefineJourney",
     R"({"entry":{"event":"signed_up"},"steps":[{"id":"day","type":"delay","for":"1d"}],"based_on":1,"move":{"wait":"day"}})",
     ChangeJourney},
    {kPost, "/v1/journeys/{id}:preview", Scope::kRead,
     "What a definition would have made of everybody who is in the journey, with samples; nothing is published, and nothing can be sent",
     "journey", R"({"entry":{"event":"signed_up"},"steps":[{"id":"day","type":"delay","for":"1d"}],"move":{"wait":"day"}})",
     PreviewJourney},
    {kPost, "/v1/journeys/{id}:pause", Scope::kWrite, "Pause a journey: nobody enters, nobody goes on", "PauseJourney", "", PauseJourney},
    {kPost, "/v1/journeys/{id}:resume", Scope::kWrite, "Resume a journey: whose wait is over goes on", "ResumeJourney", "", ResumeJourney},
    {kPost, "/v1/journeys/{id}:archive", Scope::kWrite, "Archive a journey: it is over for everybody in it", "ArchiveJourney", "",
     ArchiveJourney},
    // Templates and campaigns.
    {kPost, "/v1/templates", Scope::kWrite, "Save a new version of a template; without a text, one is made from the HTML", "SaveTemplate",
     R"({"name":"spring","subject":"Hello {{ contact.first_name }}","html":"<p>Hello</p>","text":"Hello","attachments":[{"asset":"list.pdf","file_name":"Price list.pdf"}]})",
     SaveTemplate},
    {kGet, "/v1/templates", Scope::kRead, "List templates, or those that are archived", "templates", "?archived=true", ListTemplates},
    {kGet, "/v1/templates/{id}", Scope::kRead, "Show a template, or an older version of it", "template", "?version=1", ShowTemplate},
    {kPost, "/v1/templates/{id}:archive", Scope::kWrite, "Let nothing new be made of a template; what runs goes on", "ArchiveTemplate", "",
     ArchiveTemplate},
    {kPost, "/v1/templates/{id}:restore", Scope::kWrite, "Take an archived template into use again", "RestoreTemplate", "",
     RestoreTemplate},
    {kDelete, "/v1/templates/{id}", Scope::kWrite, "Delete a template that nothing uses (409 otherwise, with who does)", "DeleteTemplate",
     "", DeleteTemplate},
    {kPost, "/v1/templates/{id}:test", Scope::kWrite, "Send a template to up to 20 addresses, in no statistic", "PostMessage",
     R"({"to":["ann@example.com"],"variables":{"order":"A-7"},"subject_prefix":"[test] "})", TestTemplate},
    // Messages: mails to one person each, that no campaign sends.
    {kPost, "/v1/messages", Scope::kWrite, "Send a message to one address: ahead of campaigns, whatever its marketing opt-outs",
     "PostMessage",
     R"({"to":"ann@example.com","template":"receipt","variables":{"order":"A-7","lines":[{"name":"tea","price":2.5}]},"from":"Shop <receipts@shop.example.com>","reply_to":"help@shop.example.com","headers":{"X-Order":"A-7"},"message_class":"transactional","create_contact":false,"expires_in_s":3600,"retry_unknown":false,"attachments":[{"asset":"terms.pdf","file_name":"Terms.pdf"},{"content":"JVBERi0xLjcK","content_type":"application/pdf","file_name":"Invoice.pdf"}]})",
     PostOneMessage, kMessageBodyBytesMax},
    {kGet, "/v1/messages", Scope::kRead, "List messages, the newest first, or those to one address", "messages",
     "?status=delivered&template_id=1&to=ann%40example.com", ListMessages},
    {kGet, "/v1/messages:counts", Scope::kRead, "How many messages came to what, by template and day (UTC); tests apart", "message_counts",
     "?days=30", CountMessages},
    {kGet, "/v1/messages/{id}", Scope::kRead, "A message: what became of it, and every attempt", "message", "", ShowMessage},
    {kGet, "/v1/messages/{id}/mail", Scope::kWrite,
     "The mail of a message made again from the journal, and whether it is byte for byte what was sent; its links are live; sends nothing",
     "", "", ShowMessageMail},
    {kPost, "/v1/templates:lint", Scope::kRead,
     "Look at a template before it is saved: what would keep it from being saved, and what its author may want to change",
     "partial_sources", R"({"subject":"Hello {{ contact.first_name }}","html":"<p>Hello</p>"})", LintTemplate},
    {kPost, "/v1/templates/{id}/preview", Scope::kRead,
     "Fill a template in for up to 1,000 contacts: who meets a fallback, a blank value, an error", "template",
     "?sample=200&version=1&locale=de", SampleTemplate},
    {kPut, "/v1/partials/{name}", Scope::kWrite, "Put a partial, which templates take in by {% render 'name' %}", "PutPartial",
     R"({"html":"<p>{{ company }}, {{ postal_address }}</p>"})", PutPartial},
    {kGet, "/v1/partials", Scope::kRead, "List partials", "partials", "?archived=true", ListPartials},
    {kGet, "/v1/partials/{name}", Scope::kRead, "Show a partial", "partial", "", ShowPartial},
    {kPost, "/v1/partials/{name}:archive", Scope::kWrite, "Let no new template version take a partial in", "ArchivePartial", "",
     ArchivePartial},
    {kPost, "/v1/campaigns", Scope::kWrite, "Create a campaign", "CreateCampaign",
     R"({"name":"spring","template_id":1,"list_id":1,"from":"Shop <news@shop.example.com>","arms":[{"name":"a","weight":90},{"name":"none","weight":10,"holdout":true}]})",
     CreateCampaign},
    {kGet, "/v1/campaigns", Scope::kRead, "List campaigns", "campaigns", "", ListCampaigns},
    {kGet, "/v1/campaigns/{id}", Scope::kRead, "Show a campaign: status, counts, arms", "campaign", "", ShowCampaign},
    {kPatch, "/v1/campaigns/{id}", Scope::kWrite, "Change members of a draft, with If-Match; of what runs or is paused, the name",
     "EditCampaign", R"({"name":"summer","segment_ids":[1]})", EditCampaign},
    {kDelete, "/v1/campaigns/{id}", Scope::kWrite, "Delete a draft", "DeleteCampaign", "", DeleteCampaign},
    {kPost, "/v1/campaigns/{id}:clone", Scope::kWrite, "A new draft that is as this campaign", "CloneCampaign", R"({"name":"again"})",
     CloneCampaign},
    {kPost, "/v1/campaigns/{id}:resend", Scope::kWrite, "A new draft for those who failed, or have not opened", "ResendCampaign",
     R"({"to":"failed"})", ResendCampaign},
    {kPost, "/v1/campaigns/{id}:approve", Scope::kAdmin, "Approve a revision that another person has written and launches",
     "ApproveCampaign", R"({"revision":1})", ApproveCampaign},
    {kGet, "/v1/launch-previews/{id}", Scope::kRead, "What a launch would do (a launch with ?dry_run=true)", "launch_preview", "",
     ShowLaunchPreview},
    {kPost, "/v1/audiences:preview", Scope::kRead, "How many contacts lists and segments come to, with samples", "list_member_ids",
     R"({"list_ids":[1],"exclude_segment_ids":[1]})", PreviewAudience},
    {kPost, "/v1/campaigns/{id}:launch", Scope::kWrite, "Launch; with ?dry_run=true: what it would do, and nothing is sent",
     "LaunchCampaign", "", LaunchCampaign, kBodyBytesMax, kOwnDryRun},
    {kPost, "/v1/campaigns/{id}:schedule", Scope::kWrite, "Start it at an instant, or when clocks show a wall time", "ScheduleCampaign",
     R"({"local":"2026-12-01T09:00","zone":"Europe/Berlin","per_contact_zone":true,"late":"send"})", ScheduleCampaign},
    {kPost, "/v1/campaigns/{id}:unschedule", Scope::kWrite, "Make it a draft again", "UnscheduleCampaign", "", UnscheduleCampaign},
    {kPost, "/v1/campaigns/{id}:release", Scope::kWrite, "Start a held campaign after all", "ReleaseCampaign", "", ReleaseCampaign},
    {kPost, "/v1/campaigns/{id}:throttle", Scope::kWrite, "How fast it goes; also while it runs", "ThrottleCampaign",
     R"({"per_minute":600})", ThrottleCampaign},
    {kPost, "/v1/campaigns/{id}:winner", Scope::kWrite, "Choose the arm that the rest of an A/B test gets, before it is chosen by itself",
     "ChooseWinner", R"({"arm":"a"})", ChooseWinner},
    {kPost, "/v1/campaigns/{id}:pause", Scope::kWrite, "Pause", "PauseCampaign", "", PauseCampaign},
    {kPost, "/v1/campaigns/{id}:resume", Scope::kWrite, "Resume", "ResumeCampaign", "", ResumeCampaign},
    {kPost, "/v1/campaigns/{id}:finish", Scope::kWrite,
     "Take nobody in any more: an evergreen campaign is completed once all have their mail", "FinishCampaign", "", FinishCampaign},
    {kPost, "/v1/campaigns/{id}:cancel", Scope::kWrite, "Cancel", "CancelCampaign", "", CancelCampaign},
    {kGet, "/v1/campaigns/{id}/report", Scope::kRead, "What it came to, by arm and by language, and what an A/B test decided",
     "campaign_report", "", ShowReport},
    {kGet, "/v1/campaigns/{id}/preview", Scope::kRead,
     "The mail as one contact gets it (?contact_id= or ?email=, ?arm=, ?locale=); its tokens are dead", "campaign",
     "?email=ann%40example.com&locale=de&arm=b", ShowPreview, kBodyBytesMax, "contact_id"},
    {kGet, "/v1/campaigns/{id}/skips", Scope::kRead, "Why some got no mail", "campaign_skips", "", ListSkips},
    {kGet, "/v1/campaigns/{id}/sends", Scope::kRead, "Everyone in the audience, with status and reason", "sends",
     "?status=skipped&reason=unsubscribed", ListSends},
    {kGet, "/v1/campaigns/{id}/sends/{contact_id}", Scope::kRead, "The whole story of one send", "send", "", ShowSend},
    {kGet, "/v1/campaigns/{id}/sends/{contact_id}/mail", Scope::kWrite,
     "The mail of a send made again from the journal, and whether it is byte for byte what was sent; its links are live; sends nothing", "",
     "", ShowSendMail},
    {kGet, "/v1/sends/unknown", Scope::kRead, "Sends whose reply was lost: delivered or not, nobody here knows", "unknown_sends",
     "?campaign_id=1", ListUnknown},
    {kPost, "/v1/sends/unknown:resolve", Scope::kWrite, "Settle them by the receiver's list: delivered, or sent once more",
     "ResolveUnknown", R"({"received_message_ids":["<m…@shop.example.com>"],"why":"compared with the receiver's log"})", ResolveUnknown,
     size_t{64} << 20},
    {kGet, "/v1/bounces/review", Scope::kRead, "What today's rules say of refusals of old, where it is not what was said then", "bounces",
     "?campaign_id=1&since=2026-11-21T00%3A00%3A00Z", ReviewBounces},
    {kPost, "/v1/bounces/review:apply", Scope::kWrite,
     "Correct a page of them by new events; a suppression that a wrong hard bounce made is lifted if nothing else holds it",
     "ReclassifyBounce", R"({"why":"the rules of November","campaign_id":1,"since":"2026-11-21T00:00:00Z","page_size":1000})",
     ApplyBounceReview},
    // Producers and operators.
    {kPost, "/v1/events", Scope::kIngest, "Record an event of a contact", "RecordContactEvent",
     R"({"id":"order-1","type":"conversion","contact":{"email":"ann@example.com"},"revenue_cents":1999,"currency":"EUR"})", RecordEvent,
     kEventBytesMax},
    {kPost, "/v1/events:batch", Scope::kIngest, "Record up to 1,000 events; a verdict for each", "RecordContactEvent",
     R"({"events":[{"id":"visit-1","type":"visit","contact":{"email":"ann@example.com"}}]})", RecordEvents},
    {kPost, "/v1/inbound", Scope::kIngest, "Take a mail that came back: a bounce, a complaint, a machine's answer", "RecordNotice",
     kMailType, TakeInbound, kInboundBytesMax},
    {kPost, "/v1/webhooks/{provider}", Scope::kNone,
     "Take notices of ses, sendgrid, postmark or mailgun: bounces, complaints, opt-outs; the provider's signature or secret authorises",
     "RecordNotice", "", TakeWebhook, esp::kBodyBytesMax, "secret"},
    {kGet, "/v1/engagements/count", Scope::kRead, "How many events of a type were recorded", "engagement_count", "?type=conversion",
     CountEngagements},
    // Sites, for the platform's operator.
    {kPost, "/v1/sites/{site}:suspend", Scope::kAdmin, "Let no mail go to a site until it is resumed, from no process", "SuspendSite",
     R"({"reason":"they asked us to wait"})", SuspendSite},
    {kPost, "/v1/sites/{site}:drain", Scope::kAdmin, "Begin no mail to a site until it is resumed, and let those under way end",
     "DrainSite", R"({"reason":"its servers move tonight"})", DrainSite},
    {kPost, "/v1/sites/{site}:flush", Scope::kAdmin,
     "Try what waits for a retry at a site now, as fast as it takes it; with dry_run=true: how many mails that is", "FlushSite",
     R"({"reason":"they have lifted the block"})", FlushSite},
    {kPost, "/v1/sites/{site}:resume", Scope::kAdmin, "Let mail go to a suspended or drained site again", "ResumeSite",
     R"({"reason":"it is settled"})", ResumeSite},
    {kGet, "/v1/sites/{site}", Scope::kAdmin,
     "A site: suspended, drained or open, slowed and why, what waits there, and how this process sees it", "site", "", ShowSite},
    {kGet, "/v1/sites/{site}/changes", Scope::kAdmin, "Why mail went slower or faster to a site, newest first", "site_changes", "",
     ListSiteChanges},
    {kGet, "/v1/deadletters", Scope::kAdmin, "Commands that could not be decided", "dead_letters", "", ListDeadLetters},
    {kGet, "/v1/commands/{id}", Scope::kRead,
     "What became of a write that was answered 202: pending, or decided, with its outcome and answer", "", "", ShowCommand},
    {kGet, "/v1/limits", Scope::kNone, "Sizes, counts and times that the API keeps to", "", "", ShowLimits},
};

}  // namespace

std::span<const RouteRow> Routes() { return kRoutes; }

std::vector<std::string> QueryParametersOf(const RouteRow& row) {
  std::vector<std::string> names;
  for (size_t at = row.example.starts_with('?') ? 1 : std::string_view::npos; at < row.example.size();) {
    const size_t equals = row.example.find('=', at);
    names.emplace_back(row.example.substr(at, equals - at));
    const size_t next = row.example.find('&', equals);
    at = next == std::string_view::npos ? next : next + 1;
  }
  if (!row.also.empty() && row.also != kFileBody) names.emplace_back(row.also);
  if (row.method == kGet && !row.uses.empty()) {
    for (const char* name : {"min", "wait_ms", "strict", "page_size", "page_token"}) names.emplace_back(name);
  }
  if (TakesDryRun(row)) names.emplace_back("dry_run");
  return names;
}

bool TakesDryRun(const RouteRow& row) {
  // A launch's own says what would become of it (campaign_drafts.h); what only reads appends nothing anyway.
  if (row.also == kOwnDryRun || row.scope == Scope::kRead) return false;
  return row.method != kGet && row.scope != Scope::kIngest && row.scope != Scope::kNone && row.handler != nullptr;
}

bool TakesIdempotencyKey(const RouteRow& row) {
  return (TakesDryRun(row) || row.also == kOwnDryRun) && row.uses != "ResolveUnknown" && row.uses != "ReclassifyBounce";
}

}  // namespace maily::api
