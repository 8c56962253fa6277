//! Whether a WHERE narrows anything.

use pg_raw_parse::Node;

use super::UnknownNode;
use super::children::children;

/// Whether a condition is missing, or made of constants alone, such as `true` or `1 = 1`.
pub(super) fn is_empty(condition: Node<'_>) -> Result<bool, UnknownNode> {
    let mut rest = vec![condition];
    while let Some(node) = rest.pop() {
        let narrows = matches!(
            node,
            Node::ColumnRef(_)
                | Node::CurrentOfExpr(_)
                | Node::FuncCall(_)
                | Node::ParamRef(_)
                | Node::SQLValueFunction(_)
                | Node::SubLink(_)
        );
        if narrows {
            return Ok(false);
        }
        children(node, &mut |child| rest.push(child))?;
    }
    Ok(true)
}
