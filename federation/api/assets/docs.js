// The interactive page of the API. It reads the OpenAPI document of this very node and nothing else.
SwaggerUIBundle({
  url: "/v1/openapi.json",
  dom_id: "#api",
  validatorUrl: null,
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
