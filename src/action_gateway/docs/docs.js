// Shows the description of the API. Everything is put in as text, never as markup.

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

function code(text) {
  return element("code", text);
}

function resolve(description, schema) {
  const name = schema.$ref?.split("/").at(-1);
  return name ? description.components.schemas[name] : schema;
}

// An example of what a schema describes, with a type where a value would be.
function sketch(description, schema) {
  const { type, properties, items, enum: values, anyOf, const: constant, format } = resolve(description, schema);
  if (constant !== undefined) return constant;
  if (values) return values.join(" | ");
  if (anyOf) return anyOf.map((one) => sketch(description, one)).find((one) => one !== "null") ?? null;
  if (type === "array") return [sketch(description, items ?? {})];
  if (!properties) return format ?? type ?? "any";
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, sketch(description, property)]),
  );
}

function showBody(description, title, content) {
  const schema = content?.["application/json"]?.schema;
  if (!schema || Object.keys(schema).length === 0) return [];
  return [element("h4", title), element("pre", JSON.stringify(sketch(description, schema), null, 2))];
}

function showParameters(parameters = []) {
  if (parameters.length === 0) return [];
  const list = element("dl");
  for (const parameter of parameters) {
    list.append(
      element("dt", code(parameter.name), ` in the ${parameter.in}`),
      element("dd", parameter.description ?? parameter.schema?.description ?? "", " "),
    );
  }
  return [element("h4", "Parameters"), list];
}

function showResponses(responses) {
  const list = element("dl");
  for (const [status, response] of Object.entries(responses)) {
    list.append(element("dt", code(status)), element("dd", response.description.replaceAll("`", "")));
  }
  return [element("h4", "Answers"), list];
}

function showOperation(description, path, method, operation) {
  const [status, success] = Object.entries(operation.responses).find(([number]) => number.startsWith("2"));
  const needsToken = operation.security ? [element("p", "Wants ", code("Authorization: Bearer <accessToken>"))] : [];
  return element(
    "details",
    element("summary", element("b", method.toUpperCase()), " ", code(path), ` ${operation.summary ?? ""}`),
    element("p", operation.description ?? ""),
    ...needsToken,
    ...showParameters(operation.parameters),
    ...showBody(description, "Body", operation.requestBody?.content),
    ...showBody(description, `Answer ${status}`, success.content),
    ...showResponses(operation.responses),
  );
}

function show(description) {
  document.getElementById("summary").textContent = description.info.summary ?? "";
  const sections = new Map();
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const method of METHODS.filter((one) => one in operations)) {
      const operation = operations[method];
      const tag = operation.tags?.[0] ?? "other";
      if (!sections.has(tag)) sections.set(tag, element("section", element("h2", tag)));
      sections.get(tag).append(showOperation(description, path, method, operation));
    }
  }
  document.getElementById("operations").replaceChildren(...sections.values());
}

try {
  const response = await fetch("/openapi.json");
  if (!response.ok) throw new Error(`status ${response.status}`);
  show(await response.json());
} catch (error) {
  document.getElementById("summary").textContent = `The description cannot be read: ${error.message}.`;
}
