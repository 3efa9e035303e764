
// Passkeys. Without this file, or in a browser that knows none, a password or a code is asked for.
if (window.PublicKeyCredential) {
  const read = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const write = (octets) => btoa(String.fromCharCode(...new Uint8Array(octets))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const known = (list) => (list ?? []).map((one) => ({ ...one, id: read(one.id) }));

  const post = async (path, body) => {
    const headers = body ? { "Content-Type": "application/json" } : {};
    const answer = await fetch(path, { method: "POST", headers, body: body && JSON.stringify(body) });
    const content = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(`${content.title}. ${content.detail}`), { code: content.code });
    return content;
  };

  const answered = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = write(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return { id: credential.id, response };
  };

  const get = async (question, more) => {
    const publicKey = { ...question, challenge: read(question.challenge), allowCredentials: known(question.allowCredentials) };
    return answered(await navigator.credentials.get({ publicKey, ...more }));
  };

  const create = async (options) => answered(await navigator.credentials.create({ publicKey: {
    ...options,
    challenge: read(options.challenge),
    user: { ...options.user, id: read(options.user.id) },
    excludeCredentials: known(options.excludeCredentials),
  } }));

  const say = (place, error) => {
    place.querySelector("[data-said]")?.remove();
    const words = document.createElement("p");
    words.className = "notice bad";
    words.setAttribute("role", "alert");
    words.dataset.said = "";
    words.textContent = error.name === "NotAllowedError" ? "Nothing was done: it was cancelled, or took too long."
      : error.name === "InvalidStateError" ? "This device has a passkey for your account already."
      : error.message;
    place.append(words);
  };

  const button = (place, words) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = words;
    place.append(made);
    return made;
  };

  // The answer travels in the form, with whatever else the form carries.
  const send = (form, answer) => {
    form.elements.passkey.value = JSON.stringify(answer);
    if (form.elements.password) form.elements.password.value = "";
    form.submit();
  };

  for (const form of document.querySelectorAll("[data-passkey-question]")) {
    let waiting = new AbortController();
    const ask = async (more) => {
      waiting.abort();
      waiting = new AbortController();
      const { signal } = waiting;
      const question = await post(form.dataset.passkeyQuestion);
      send(form, await get(question, { signal, ...more }));
    };
    // Beside the names that the browser offers for the first field; a challenge is good for five minutes.
    const offer = async () => {
      if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
      const again = setTimeout(offer, 240000);
      ask({ mediation: "conditional" }).catch((error) => { if (error.name !== "AbortError") clearTimeout(again); });
    };
    button(form, "Sign in with a passkey").addEventListener("click", () => {
      ask({}).catch((error) => { if (error.name !== "AbortError") say(form, error); });
    });
    // Not above a complaint: a passkey that was just refused would be the first on offer.
    if (!document.getElementById("error")) offer();
  }

  for (const form of document.querySelectorAll("[data-passkey-asked]")) {
    button(form, "Use your passkey").addEventListener("click", () => {
      get(JSON.parse(form.dataset.passkeyAsked), {}).then((answer) => send(form, answer)).catch((error) => say(form, error));
    });
  }

  for (const place of document.querySelectorAll("[data-passkey-add]")) {
    const base = place.dataset.passkeyAdd;
    const label = document.createElement("label");
    label.textContent = "Name of a new passkey";
    label.htmlFor = "new-passkey";
    const name = document.createElement("input");
    Object.assign(name, { id: "new-passkey", maxLength: 64, placeholder: "Phone, laptop, key ring …", autocomplete: "off" });
    place.append(label, name);
    const done = () => { location.assign(place.dataset.passkeyDone); };
    // Shown once, and by nobody but this page.
    const show = (codes) => {
      const title = document.createElement("p");
      title.textContent = "The passkey was added. Keep these recovery codes where you find them without it; each is good once, and they are not shown again.";
      const list = document.createElement("pre");
      list.className = "kept";
      list.dataset.recoveryCodes = "";
      list.textContent = codes.join("\n");
      place.replaceChildren(title, list);
      button(place, "I have kept them").addEventListener("click", done);
    };
    button(place, "Add a passkey").addEventListener("click", async () => {
      try {
        const made = await create(await post(`${base}/options`));
        const added = await post(base, { ...made, name: name.value });
        if (added.recovery_codes) show(added.recovery_codes); else done();
      } catch (error) {
        // The page behind the form takes its person through what is missing, and back.
        if (error.code === "insufficient_user_authentication") place.submit(); else say(place, error);
      }
    });
  }
}
