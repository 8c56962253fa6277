//! Changes of run-time parameters: SET, RESET, `set_config`, and transaction modes.

use pg_raw_parse::nodes::{A_Expr, FuncCall, TypeName, VariableSetStmt};
use pg_raw_parse::raw::{A_Expr_Kind, VariableSetKind};
use pg_raw_parse::{ConstValue, Node};

use super::facts::Facts;
use crate::policy::classification::{Setting, Value};
use crate::policy::kind::Kind;

/// A SET or RESET of the session's.
pub(super) fn set(statement: &VariableSetStmt, facts: &mut Facts<'_>) {
    let is_reset = matches!(
        statement.kind,
        VariableSetKind::VAR_RESET | VariableSetKind::VAR_RESET_ALL
    );
    let is_default = statement.kind == VariableSetKind::VAR_SET_DEFAULT;
    facts.kinds.insert(if is_reset || is_default {
        Kind::Reset
    } else {
        Kind::Set
    });
    if statement.kind == VariableSetKind::VAR_SET_MULTI && asks_read_write(statement.args()) {
        facts.kinds.insert(Kind::ReadWrite);
    }
    if let Some(setting) = setting_of(statement) {
        add(setting, facts);
    }
}

/// The parameter that a SET or RESET changes. None: RESET ALL, which leaves what the connection
/// was started with, and transaction modes.
pub(super) fn setting_of(statement: &VariableSetStmt) -> Option<Setting> {
    let value = match statement.kind {
        VariableSetKind::VAR_SET_DEFAULT | VariableSetKind::VAR_RESET => Value::Default,
        VariableSetKind::VAR_RESET_ALL | VariableSetKind::VAR_SET_MULTI => return None,
        VariableSetKind::VAR_SET_VALUE => {
            let texts: Option<Vec<_>> = statement.args().iter().map(text_of).collect();
            texts.map_or(Value::Computed, |texts| {
                Value::Constant(texts.join(", ").into())
            })
        }
        // SET … FROM CURRENT, and what may be new.
        _ => Value::Computed,
    };
    Some(Setting {
        name: statement.name().map(lower),
        value,
    })
}

/// Whether a list of transaction modes ends up with READ WRITE.
pub(super) fn asks_read_write<'a>(modes: impl IntoIterator<Item = Node<'a>>) -> bool {
    let mut asked = false;
    for mode in modes {
        if let Node::DefElem(mode) = mode
            && mode.defname() == Some("transaction_read_only")
        {
            asked = !matches!(mode.arg(), Node::A_Const(c) if matches!(c.val(), Some(ConstValue::Integer(1))));
        }
    }
    asked
}

/// A call of `set_config`. `runs`: not only stored to be run later.
pub(super) fn set_config(call: &FuncCall, runs: bool, facts: &mut Facts<'_>) {
    let args: Vec<_> = call.args().iter().collect();
    let setting = match *args {
        [name, value, _] if !call.func_variadic => Setting {
            name: constant(name).flatten().map(|name| lower(&name)),
            value: match constant(value) {
                None => Value::Computed,
                Some(None) => Value::Default,
                Some(Some(text)) => Value::Constant(text.into()),
            },
        },
        _ => any(),
    };
    if runs {
        facts.kinds.insert(Kind::Set);
        add(setting, facts);
    } else {
        facts.settings.push(setting);
    }
}

/// Any parameter, to anything.
pub(super) fn any() -> Setting {
    Setting {
        name: None,
        value: Value::Computed,
    }
}

fn add(setting: Setting, facts: &mut Facts<'_>) {
    let is_identity = matches!(
        setting.name.as_deref(),
        Some("role" | "session_authorization")
    );
    if is_identity && setting.value != Value::Default {
        facts.kinds.insert(Kind::SetRole);
    }
    facts.settings.push(setting);
}

fn lower(name: &str) -> Box<str> {
    name.to_ascii_lowercase().into()
}

/// The text of an element of SET's list.
fn text_of(node: Node<'_>) -> Option<String> {
    match node {
        Node::A_Const(c) => Some(c.val()?.to_string()),
        // SET TIME ZONE INTERVAL …
        _ => None,
    }
}

/// The text of a constant argument, `Some(None)` for NULL; `None`: it is computed. Casts that
/// leave a text as it is are seen through, and `||` between constants is done.
fn constant(node: Node<'_>) -> Option<Option<String>> {
    if matches!(node, Node::A_Const(c) if c.isnull) {
        return Some(None);
    }
    let mut whole = String::new();
    let mut parts = vec![node];
    while let Some(part) = parts.pop() {
        match part {
            Node::TypeCast(cast) if cast.type_name().is_some_and(is_text) => parts.push(cast.arg()),
            Node::A_Const(c) => match c.val() {
                Some(ConstValue::String(text)) => whole.push_str(text),
                _ => return None,
            },
            Node::A_Expr(joined) if is_concatenation(joined) => {
                parts.push(joined.rexpr());
                parts.push(joined.lexpr());
            }
            _ => return None,
        }
    }
    Some(Some(whole))
}

fn is_concatenation(expression: &A_Expr) -> bool {
    let mut name = expression.name().iter();
    expression.kind == A_Expr_Kind::AEXPR_OP
        && name.next().and_then(Node::as_str) == Some("||")
        && name.next().is_none()
        && !matches!(expression.lexpr(), Node::None)
}

fn is_text(name: &TypeName) -> bool {
    let parts: Vec<_> = name.names().iter().filter_map(|part| part.sval()).collect();
    name.typmods().is_empty()
        && name.array_bounds().is_empty()
        && matches!(
            *parts,
            ["text" | "varchar"] | ["pg_catalog", "text" | "varchar"]
        )
}
