// Invitations by link and passkeys: the only parts of the pages that need a script.

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** What the authenticator has answered, as JSON (WebAuthn level 3, 5.1). */
function toJson(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  if (credential.response.getTransports) response.transports = credential.response.getTransports();
  return JSON.stringify({
    id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
  });
}

/** Ask the node for a challenge, and the authenticator for its answer; then the form is sent with it. */
async function passkey(form) {
  const answer = await fetch(form.dataset.options, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "for=passkey",
  });
  if (!answer.ok) throw new Error(answer.status);
  const { options, state } = await answer.json();
  options.challenge = bytes(options.challenge);
  if (options.user) options.user.id = bytes(options.user.id);
  for (const listed of options.excludeCredentials ?? []) listed.id = bytes(listed.id);
  for (const listed of options.allowCredentials ?? []) listed.id = bytes(listed.id);
  const credential = await navigator.credentials[form.dataset.passkey]({ publicKey: options });
  form.elements.state.value = state;
  form.elements.credential.value = toJson(credential);
  form.submit();
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fault = form.querySelector("[role=alert]");
    const button = form.querySelector("button");
    fault.hidden = true;
    button.disabled = true;
    try {
      await passkey(form);
    } catch {
      fault.hidden = false;
    }
    button.disabled = false;
  });
}

// The secret of an invitation is in the fragment, which no browser sends: it goes into the form, and out of
// the address.
const invitation = document.querySelector("form[data-invitation]");
if (invitation && location.hash.length > 1) {
  invitation.elements.secret.value = location.hash.slice(1);
  invitation.querySelector("div").hidden = true;
  // The same page in another language needs it, too.
  for (const link of document.querySelectorAll(".who a[hreflang]")) link.hash = location.hash;
  history.replaceState(null, "", location.pathname);
}
