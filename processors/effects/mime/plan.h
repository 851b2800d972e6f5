// The tree of a mail with images and attachments (RFC 2046 §5.1, RFC 2387):
//
//   multipart/mixed                    if there are attachments
//     multipart/alternative            if there are both a text and an HTML part
//       text/plain                     ┐
//       multipart/related              │ the head: of each mail its own
//         text/html                    ┘
//         image …                      ┐ the tail: the same bytes in all mails of a campaign, encoded once and shared
//     attachment …                     ┘
//
// What differs from mail to mail comes first, so a mail is a head and a tail. The head ends with the delimiter line before the first
// image or attachment, so that it never ends with an empty line; no line of the tail begins with a dot, or has white space that a
// relaxed canonical form changes (RFC 6376 §3.4.4): dot-stuffing and signing take it as it stands. Pure; thread: any.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processors/effects/mime/fields.h"

namespace maily::mime {

// An image or attachment, without its bytes.
struct Item {
  std::string id;  // SHA-256 of the bytes, 64 hexadecimal digits in lower case
  MediaType type;
  FileName name;
  std::string blob = {};  // that one message alone has; empty: an asset of the tenant
  uint64_t size = 0;      // of the bytes, of an item of an own plan
};

struct Plan {
  bool text = false;  // the mail has such a part
  bool html = false;
  std::string domain;             // of Content-IDs, in A-labels
  std::vector<Item> images;       // shown by the HTML part, as cid:…; none without one
  std::vector<Item> attachments;  // in order
  bool own = false;               // of one mail alone

  bool plain() const { return images.empty() && attachments.empty(); }
  // Equal plans, and only they, have equal keys.
  std::string Key() const;
};

// "0123…@example.com": of the bytes alone, so the same in every mail; without the angle brackets.
std::string ContentId(std::string_view id, std::string_view domain);

// The delimiters of the head. CHECK: the plan is not plain, and has a text or an HTML part.
struct Frame {
  explicit Frame(const Plan& plan);
  std::string
      before_text;  // Content-Type fields and delimiters, up to the fields of the text part; or of the HTML part, if there is no text
  std::string before_html;  // between them
  std::string after;        // the last lines of the head
};

// The tail. `bytes`: of the images, then of the attachments.
std::string EncodeTail(const Plan& plan, std::span<const std::string> bytes);
// At least as many bytes as it has, for items of these sizes.
size_t TailSizeMax(std::span<const size_t> sizes);

}  // namespace maily::mime
