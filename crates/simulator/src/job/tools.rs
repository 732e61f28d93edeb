//! Tool calls: which one a request forces, and its arguments.

use serde_json::Value;
use vllm_bench_protocol::ChatRequest;

use super::answer::AnswerPlan;
use crate::config::SimulatorConfig;
use crate::refusal::Refusal;
use crate::schema;

/// A tool call that the answer consists of.
#[derive(Clone, Debug)]
pub(crate) struct ToolPlan {
    pub(crate) name: String,
    /// Asked for by name: such a call ends with `stop`, not `tool_calls`.
    pub(crate) named: bool,
}

/// The call that a request forces, with its arguments as the answer; none where the answer is text.
pub(super) fn plan(
    request: &ChatRequest,
    config: &SimulatorConfig,
) -> Result<Option<(ToolPlan, AnswerPlan)>, Refusal> {
    let tools = request.tools.as_deref().unwrap_or_default();
    if tools.is_empty() {
        return match &request.tools {
            Some(_) => Err(Refusal::bad_parameter(
                "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely.",
                "tools",
                None,
            )),
            None if forces(request.tool_choice.as_ref()) => {
                let message = "When using `tool_choice`, `tools` must be set.";
                Err(Refusal::bad_parameter(message, "tool_choice", None))
            }
            None => Ok(None),
        };
    }
    let named = request.tool_choice.as_ref().and_then(|choice| choice.pointer("/function/name"));
    if let Some(name) = named.and_then(Value::as_str) {
        let tool = tools.iter().find(|tool| tool_name(tool) == Some(name));
        let Some(tool) = tool else {
            let message =
                "The tool specified in `tool_choice` does not match any of the specified `tools`";
            return Err(Refusal::bad_parameter(message, "tool_choice", None));
        };
        if !config.tool_calls {
            return Err(Refusal::bad(format!(
                "tool_choice=function \"{name}\" requires --tool-call-parser to be set"
            )));
        }
        return Ok(Some(call(tool, name, true)));
    }
    match request.tool_choice.as_ref().map_or(Some("auto"), Value::as_str) {
        Some("none") => Ok(None),
        Some("auto") if config.tool_calls => Ok(None),
        Some("auto") => Err(Refusal::bad(
            "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
        )),
        Some("required") if config.tool_calls => {
            let name = tool_name(&tools[0]).unwrap_or_default();
            Ok(Some(call(&tools[0], name, false)))
        }
        Some("required") => {
            Err(Refusal::bad("tool_choice=\"required\" requires --tool-call-parser to be set"))
        }
        _ => Err(Refusal::bad_parameter(
            "Invalid value for `tool_choice`! Only named tools, \"none\", \"auto\" or \"required\" are supported.",
            "tool_choice",
            None,
        )),
    }
}

fn forces(choice: Option<&Value>) -> bool {
    choice.is_some_and(|choice| !choice.is_null() && choice.as_str() != Some("none"))
}

fn tool_name(tool: &Value) -> Option<&str> {
    tool.pointer("/function/name").and_then(Value::as_str)
}

fn call(tool: &Value, name: &str, named: bool) -> (ToolPlan, AnswerPlan) {
    let arguments = tool.pointer("/function/parameters").map_or(Value::Null, schema::instance);
    (ToolPlan { name: name.to_owned(), named }, AnswerPlan::fixed(&arguments.to_string()))
}
