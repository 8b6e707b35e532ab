// Starts Swagger UI with this service's OpenAPI document. The names come from the page, where the service writes them.
"use strict";
const names = document.currentScript.dataset;

// What another site cannot read: a signed-in browser's request repeats it, beside the session's own cookie.
function csrfToken() {
  const start = `${names.csrfCookie}=`;
  const cookie = document.cookie.split("; ").find((part) => part.startsWith(start));
  return cookie && cookie.slice(start.length);
}

window.ui = SwaggerUIBundle({
  url: names.openapi,
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  filter: true,
  showCommonExtensions: true,
  showExtensions: true,
  validatorUrl: null,
  requestInterceptor(request) {
    if (request.loadSpec || new URL(request.url, location.href).origin !== location.origin) return request;
    const given = Object.keys(request.headers).map((name) => name.toLowerCase());
    if (!given.includes(names.kindHeader.toLowerCase())) request.headers[names.kindHeader] = names.kind;
    const token = csrfToken();
    if (token) request.headers[names.csrfHeader] = token;
    return request;
  },
});
