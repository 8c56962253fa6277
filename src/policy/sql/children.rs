//! Which nodes hang below a node. Written by integration/access/children.py; do not edit.

use pg_raw_parse::Node;

use super::UnknownNode;

/// Hands every node right below `node` to `push`. A kind of node that is new in the parser does
/// not compile.
pub(super) fn children<'a>(
    node: Node<'a>,
    push: &mut impl FnMut(Node<'a>),
) -> Result<(), UnknownNode> {
    match node {
        Node::Invalid(_) => return Err(UnknownNode),
        Node::NodeList(x) => each(x.into_iter(), push),
        Node::Alias(x) => each(x.colnames().into_iter(), push),
        Node::RangeVar(x) => each(x.alias().into_iter().map(Node::from), push),
        Node::TableFunc(x) => {
            each(x.ns_uris().into_iter(), push);
            each(x.ns_names().into_iter(), push);
            one(x.docexpr(), push);
            one(x.rowexpr(), push);
            each(x.colnames().iter().map(Node::from), push);
            each(x.colexprs().into_iter(), push);
            each(x.coldefexprs().into_iter(), push);
            each(x.colvalexprs().into_iter(), push);
            each(x.passingvalexprs().into_iter(), push);
            each(x.notnulls().into_iter().map(Node::from), push);
            one(x.plan(), push);
        }
        Node::IntoClause(x) => {
            each(x.rel().into_iter().map(Node::from), push);
            each(x.col_names().into_iter(), push);
            each(x.options().into_iter(), push);
            each(x.view_query().into_iter().map(Node::from), push);
        }
        Node::Aggref(x) => {
            each(x.aggargtypes().into_iter(), push);
            each(x.aggdirectargs().into_iter(), push);
            each(x.args().into_iter(), push);
            each(x.aggorder().iter().map(Node::from), push);
            each(x.aggdistinct().iter().map(Node::from), push);
            one(x.aggfilter(), push);
        }
        Node::GroupingFunc(x) => {
            each(x.args().into_iter(), push);
            each(x.refs().into_iter(), push);
            each(x.cols().into_iter(), push);
        }
        Node::WindowFunc(x) => {
            each(x.args().into_iter(), push);
            one(x.aggfilter(), push);
            each(x.run_condition().iter().map(Node::from), push);
        }
        Node::WindowFuncRunCondition(x) => one(x.arg(), push),
        Node::SubscriptingRef(x) => {
            each(x.refupperindexpr().into_iter(), push);
            each(x.reflowerindexpr().into_iter(), push);
            one(x.refexpr(), push);
            one(x.refassgnexpr(), push);
        }
        Node::FuncExpr(x) => each(x.args().into_iter(), push),
        Node::NamedArgExpr(x) => one(x.arg(), push),
        Node::OpExpr(x) => each(x.args().into_iter(), push),
        Node::ScalarArrayOpExpr(x) => each(x.args().into_iter(), push),
        Node::BoolExpr(x) => each(x.args().into_iter(), push),
        Node::SubLink(x) => {
            one(x.testexpr(), push);
            each(x.oper_name().into_iter(), push);
            one(x.subselect(), push);
        }
        Node::SubPlan(x) => {
            one(x.testexpr(), push);
            each(x.param_ids().into_iter(), push);
            each(x.set_param().into_iter(), push);
            each(x.par_param().into_iter(), push);
            each(x.args().into_iter(), push);
        }
        Node::AlternativeSubPlan(x) => each(x.subplans().into_iter(), push),
        Node::FieldSelect(x) => one(x.arg(), push),
        Node::FieldStore(x) => {
            one(x.arg(), push);
            each(x.newvals().into_iter(), push);
        }
        Node::CoerceViaIO(x) => one(x.arg(), push),
        Node::ArrayCoerceExpr(x) => {
            one(x.arg(), push);
            one(x.elemexpr(), push);
        }
        Node::ConvertRowtypeExpr(x) => one(x.arg(), push),
        Node::CollateExpr(x) => one(x.arg(), push),
        Node::CaseExpr(x) => {
            one(x.arg(), push);
            each(x.args().into_iter(), push);
            one(x.defresult(), push);
        }
        Node::CaseWhen(x) => {
            one(x.expr(), push);
            one(x.result(), push);
        }
        Node::ArrayExpr(x) => each(x.elements().into_iter(), push),
        Node::RowExpr(x) => {
            each(x.args().into_iter(), push);
            each(x.colnames().iter().map(Node::from), push);
        }
        Node::RowCompareExpr(x) => {
            each(x.largs().into_iter(), push);
            each(x.rargs().into_iter(), push);
        }
        Node::CoalesceExpr(x) => each(x.args().into_iter(), push),
        Node::MinMaxExpr(x) => each(x.args().into_iter(), push),
        Node::XmlExpr(x) => {
            each(x.named_args().into_iter(), push);
            each(x.arg_names().iter().map(Node::from), push);
            each(x.args().into_iter(), push);
        }
        Node::JsonReturning(x) => each(x.format().into_iter().map(Node::from), push),
        Node::JsonValueExpr(x) => {
            one(x.raw_expr(), push);
            one(x.formatted_expr(), push);
            each(x.format().into_iter().map(Node::from), push);
        }
        Node::JsonConstructorExpr(x) => {
            each(x.args().into_iter(), push);
            one(x.func(), push);
            one(x.coercion(), push);
            each(x.returning().into_iter().map(Node::from), push);
        }
        Node::JsonIsPredicate(x) => {
            one(x.expr(), push);
            each(x.format().into_iter().map(Node::from), push);
        }
        Node::JsonBehavior(x) => one(x.expr(), push),
        Node::JsonExpr(x) => {
            one(x.formatted_expr(), push);
            each(x.format().into_iter().map(Node::from), push);
            one(x.path_spec(), push);
            each(x.returning().into_iter().map(Node::from), push);
            each(x.passing_names().into_iter(), push);
            each(x.passing_values().into_iter(), push);
            each(x.on_empty().into_iter().map(Node::from), push);
            each(x.on_error().into_iter().map(Node::from), push);
        }
        Node::NullTest(x) => one(x.arg(), push),
        Node::BooleanTest(x) => one(x.arg(), push),
        Node::MergeAction(x) => {
            one(x.qual(), push);
            each(x.target_list().iter().map(Node::from), push);
            each(x.update_colnos().into_iter(), push);
        }
        Node::CoerceToDomain(x) => one(x.arg(), push),
        Node::InferenceElem(x) => one(x.expr(), push),
        Node::ReturningExpr(x) => one(x.retexpr(), push),
        Node::TargetEntry(x) => one(x.expr(), push),
        Node::JoinExpr(x) => {
            one(x.larg(), push);
            one(x.rarg(), push);
            each(x.using_clause().iter().map(Node::from), push);
            each(x.join_using_alias().into_iter().map(Node::from), push);
            one(x.quals(), push);
            each(x.alias().into_iter().map(Node::from), push);
        }
        Node::FromExpr(x) => {
            each(x.fromlist().into_iter(), push);
            one(x.quals(), push);
        }
        Node::OnConflictExpr(x) => {
            each(x.arbiter_elems().into_iter(), push);
            one(x.arbiter_where(), push);
            each(x.on_conflict_set().into_iter(), push);
            one(x.on_conflict_where(), push);
            each(x.excl_rel_tlist().into_iter(), push);
        }
        Node::Query(x) => {
            one(x.utility_stmt(), push);
            each(x.cte_list().iter().map(Node::from), push);
            each(x.rtable().into_iter(), push);
            each(x.rteperminfos().iter().map(Node::from), push);
            each(x.jointree().into_iter().map(Node::from), push);
            each(x.merge_action_list().into_iter(), push);
            one(x.merge_join_condition(), push);
            each(x.target_list().iter().map(Node::from), push);
            each(x.on_conflict().into_iter().map(Node::from), push);
            each(x.returning_list().iter().map(Node::from), push);
            each(x.group_clause().iter().map(Node::from), push);
            each(x.grouping_sets().iter().map(Node::from), push);
            one(x.having_qual(), push);
            each(x.window_clause().iter().map(Node::from), push);
            each(x.distinct_clause().iter().map(Node::from), push);
            each(x.sort_clause().iter().map(Node::from), push);
            one(x.limit_offset(), push);
            one(x.limit_count(), push);
            each(x.row_marks().iter().map(Node::from), push);
            one(x.set_operations(), push);
            each(x.constraint_deps().into_iter(), push);
            each(x.with_check_options().iter().map(Node::from), push);
        }
        Node::TypeName(x) => {
            each(x.names().iter().map(Node::from), push);
            each(x.typmods().into_iter(), push);
            each(x.array_bounds().into_iter(), push);
        }
        Node::ColumnRef(x) => each(x.fields().into_iter(), push),
        Node::A_Expr(x) => {
            each(x.name().into_iter(), push);
            one(x.lexpr(), push);
            one(x.rexpr(), push);
        }
        Node::TypeCast(x) => {
            one(x.arg(), push);
            each(x.type_name().into_iter().map(Node::from), push);
        }
        Node::CollateClause(x) => {
            one(x.arg(), push);
            each(x.collname().into_iter(), push);
        }
        Node::FuncCall(x) => {
            each(x.funcname().into_iter(), push);
            each(x.args().into_iter(), push);
            each(x.agg_order().iter().map(Node::from), push);
            one(x.agg_filter(), push);
            each(x.over().into_iter().map(Node::from), push);
        }
        Node::A_Indices(x) => {
            one(x.lidx(), push);
            one(x.uidx(), push);
        }
        Node::A_Indirection(x) => {
            one(x.arg(), push);
            each(x.indirection().into_iter(), push);
        }
        Node::A_ArrayExpr(x) => each(x.elements().into_iter(), push),
        Node::ResTarget(x) => {
            each(x.indirection().into_iter(), push);
            one(x.val(), push);
        }
        Node::MultiAssignRef(x) => one(x.source(), push),
        Node::SortBy(x) => {
            one(x.node(), push);
            each(x.use_op().into_iter(), push);
        }
        Node::WindowDef(x) => {
            each(x.partition_clause().into_iter(), push);
            each(x.order_clause().iter().map(Node::from), push);
            one(x.start_offset(), push);
            one(x.end_offset(), push);
        }
        Node::RangeSubselect(x) => {
            one(x.subquery(), push);
            each(x.alias().into_iter().map(Node::from), push);
        }
        Node::RangeFunction(x) => {
            each(x.functions().into_iter(), push);
            each(x.alias().into_iter().map(Node::from), push);
            each(x.coldeflist().iter().map(Node::from), push);
        }
        Node::RangeTableFunc(x) => {
            one(x.docexpr(), push);
            one(x.rowexpr(), push);
            each(x.namespaces().into_iter(), push);
            each(x.columns().iter().map(Node::from), push);
            each(x.alias().into_iter().map(Node::from), push);
        }
        Node::RangeTableFuncCol(x) => {
            each(x.type_name().into_iter().map(Node::from), push);
            one(x.colexpr(), push);
            one(x.coldefexpr(), push);
        }
        Node::RangeTableSample(x) => {
            one(x.relation(), push);
            each(x.method().into_iter(), push);
            each(x.args().into_iter(), push);
            one(x.repeatable(), push);
        }
        Node::ColumnDef(x) => {
            each(x.type_name().into_iter().map(Node::from), push);
            one(x.raw_default(), push);
            one(x.cooked_default(), push);
            each(x.identity_sequence().into_iter().map(Node::from), push);
            each(x.coll_clause().into_iter().map(Node::from), push);
            each(x.constraints().into_iter(), push);
            each(x.fdwoptions().into_iter(), push);
        }
        Node::TableLikeClause(x) => each(x.relation().into_iter().map(Node::from), push),
        Node::IndexElem(x) => {
            one(x.expr(), push);
            each(x.collation().into_iter(), push);
            each(x.opclass().into_iter(), push);
            each(x.opclassopts().into_iter(), push);
        }
        Node::DefElem(x) => one(x.arg(), push),
        Node::LockingClause(x) => each(x.locked_rels().into_iter(), push),
        Node::XmlSerialize(x) => {
            one(x.expr(), push);
            each(x.type_name().into_iter().map(Node::from), push);
        }
        Node::PartitionElem(x) => {
            one(x.expr(), push);
            each(x.collation().into_iter(), push);
            each(x.opclass().into_iter(), push);
        }
        Node::PartitionSpec(x) => each(x.part_params().iter().map(Node::from), push),
        Node::PartitionBoundSpec(x) => {
            each(x.listdatums().into_iter(), push);
            each(x.lowerdatums().into_iter(), push);
            each(x.upperdatums().into_iter(), push);
        }
        Node::PartitionRangeDatum(x) => one(x.value(), push),
        Node::PartitionCmd(x) => {
            each(x.name().into_iter().map(Node::from), push);
            each(x.bound().into_iter().map(Node::from), push);
        }
        Node::RangeTblEntry(x) => {
            each(x.alias().into_iter().map(Node::from), push);
            each(x.eref().into_iter().map(Node::from), push);
            each(x.tablesample().into_iter().map(Node::from), push);
            each(x.subquery().into_iter().map(Node::from), push);
            each(x.joinaliasvars().into_iter(), push);
            each(x.joinleftcols().into_iter(), push);
            each(x.joinrightcols().into_iter(), push);
            each(x.join_using_alias().into_iter().map(Node::from), push);
            each(x.functions().iter().map(Node::from), push);
            each(x.tablefunc().into_iter().map(Node::from), push);
            each(x.values_lists().into_iter(), push);
            each(x.coltypes().into_iter(), push);
            each(x.groupexprs().into_iter(), push);
            each(x.security_quals().into_iter(), push);
        }
        Node::RTEPermissionInfo(x) => {
            each(x.selected_cols().into_iter().map(Node::from), push);
            each(x.inserted_cols().into_iter().map(Node::from), push);
            each(x.updated_cols().into_iter().map(Node::from), push);
        }
        Node::RangeTblFunction(x) => {
            one(x.funcexpr(), push);
            each(x.funccolnames().iter().map(Node::from), push);
            each(x.funcparams().into_iter().map(Node::from), push);
        }
        Node::TableSampleClause(x) => {
            each(x.args().into_iter(), push);
            one(x.repeatable(), push);
        }
        Node::WithCheckOption(x) => one(x.qual(), push),
        Node::GroupingSet(x) => each(x.content().into_iter(), push),
        Node::WindowClause(x) => {
            each(x.partition_clause().into_iter(), push);
            each(x.order_clause().into_iter(), push);
            one(x.start_offset(), push);
            one(x.end_offset(), push);
        }
        Node::WithClause(x) => each(x.ctes().iter().map(Node::from), push),
        Node::InferClause(x) => {
            each(x.index_elems().into_iter(), push);
            one(x.where_clause(), push);
        }
        Node::OnConflictClause(x) => {
            each(x.infer().into_iter().map(Node::from), push);
            each(x.target_list().iter().map(Node::from), push);
            one(x.where_clause(), push);
        }
        Node::CTESearchClause(x) => each(x.search_col_list().into_iter(), push),
        Node::CTECycleClause(x) => {
            each(x.cycle_col_list().into_iter(), push);
            one(x.cycle_mark_value(), push);
            one(x.cycle_mark_default(), push);
        }
        Node::CommonTableExpr(x) => {
            each(x.aliascolnames().into_iter(), push);
            one(x.ctequery(), push);
            each(x.search_clause().into_iter().map(Node::from), push);
            each(x.cycle_clause().into_iter().map(Node::from), push);
            each(x.ctecolnames().into_iter(), push);
        }
        Node::MergeWhenClause(x) => {
            one(x.condition(), push);
            each(x.target_list().into_iter(), push);
            each(x.values().into_iter(), push);
        }
        Node::ReturningClause(x) => {
            each(x.options().iter().map(Node::from), push);
            each(x.exprs().into_iter(), push);
        }
        Node::JsonOutput(x) => {
            each(x.type_name().into_iter().map(Node::from), push);
            each(x.returning().into_iter().map(Node::from), push);
        }
        Node::JsonArgument(x) => each(x.val().into_iter().map(Node::from), push),
        Node::JsonFuncExpr(x) => {
            each(x.context_item().into_iter().map(Node::from), push);
            one(x.pathspec(), push);
            each(x.passing().into_iter(), push);
            each(x.output().into_iter().map(Node::from), push);
            each(x.on_empty().into_iter().map(Node::from), push);
            each(x.on_error().into_iter().map(Node::from), push);
        }
        Node::JsonTablePathSpec(x) => one(x.string(), push),
        Node::JsonTable(x) => {
            each(x.context_item().into_iter().map(Node::from), push);
            each(x.pathspec().into_iter().map(Node::from), push);
            each(x.passing().into_iter(), push);
            each(x.columns().iter().map(Node::from), push);
            each(x.on_error().into_iter().map(Node::from), push);
            each(x.alias().into_iter().map(Node::from), push);
        }
        Node::JsonTableColumn(x) => {
            each(x.type_name().into_iter().map(Node::from), push);
            each(x.pathspec().into_iter().map(Node::from), push);
            each(x.format().into_iter().map(Node::from), push);
            each(x.columns().into_iter(), push);
            each(x.on_empty().into_iter().map(Node::from), push);
            each(x.on_error().into_iter().map(Node::from), push);
        }
        Node::JsonKeyValue(x) => {
            one(x.key(), push);
            each(x.value().into_iter().map(Node::from), push);
        }
        Node::JsonParseExpr(x) => {
            each(x.expr().into_iter().map(Node::from), push);
            each(x.output().into_iter().map(Node::from), push);
        }
        Node::JsonScalarExpr(x) => {
            one(x.expr(), push);
            each(x.output().into_iter().map(Node::from), push);
        }
        Node::JsonSerializeExpr(x) => {
            each(x.expr().into_iter().map(Node::from), push);
            each(x.output().into_iter().map(Node::from), push);
        }
        Node::JsonObjectConstructor(x) => {
            each(x.exprs().iter().map(Node::from), push);
            each(x.output().into_iter().map(Node::from), push);
        }
        Node::JsonArrayConstructor(x) => {
            each(x.exprs().iter().map(Node::from), push);
            each(x.output().into_iter().map(Node::from), push);
        }
        Node::JsonArrayQueryConstructor(x) => {
            one(x.query(), push);
            each(x.output().into_iter().map(Node::from), push);
            each(x.format().into_iter().map(Node::from), push);
        }
        Node::JsonAggConstructor(x) => {
            each(x.output().into_iter().map(Node::from), push);
            one(x.agg_filter(), push);
            each(x.agg_order().into_iter(), push);
            each(x.over().into_iter().map(Node::from), push);
        }
        Node::JsonObjectAgg(x) => {
            each(x.constructor().into_iter().map(Node::from), push);
            each(x.arg().into_iter().map(Node::from), push);
        }
        Node::JsonArrayAgg(x) => {
            each(x.constructor().into_iter().map(Node::from), push);
            each(x.arg().into_iter().map(Node::from), push);
        }
        Node::RawStmt(x) => one(x.stmt(), push),
        Node::InsertStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            each(x.cols().into_iter(), push);
            one(x.select_stmt(), push);
            each(x.on_conflict_clause().into_iter().map(Node::from), push);
            each(x.returning_clause().into_iter().map(Node::from), push);
            each(x.with_clause().into_iter().map(Node::from), push);
        }
        Node::DeleteStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            each(x.using_clause().into_iter(), push);
            one(x.where_clause(), push);
            each(x.returning_clause().into_iter().map(Node::from), push);
            each(x.with_clause().into_iter().map(Node::from), push);
        }
        Node::UpdateStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            each(x.target_list().iter().map(Node::from), push);
            one(x.where_clause(), push);
            each(x.from_clause().into_iter(), push);
            each(x.returning_clause().into_iter().map(Node::from), push);
            each(x.with_clause().into_iter().map(Node::from), push);
        }
        Node::MergeStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            one(x.source_relation(), push);
            one(x.join_condition(), push);
            each(x.merge_when_clauses().iter().map(Node::from), push);
            each(x.returning_clause().into_iter().map(Node::from), push);
            each(x.with_clause().into_iter().map(Node::from), push);
        }
        Node::SelectStmt(x) => {
            each(x.distinct_clause().into_iter(), push);
            each(x.into_clause().into_iter().map(Node::from), push);
            each(x.target_list().iter().map(Node::from), push);
            each(x.from_clause().into_iter(), push);
            one(x.where_clause(), push);
            each(x.group_clause().into_iter(), push);
            one(x.having_clause(), push);
            each(x.window_clause().into_iter(), push);
            each(x.values_lists().into_iter(), push);
            each(x.sort_clause().iter().map(Node::from), push);
            one(x.limit_offset(), push);
            one(x.limit_count(), push);
            each(x.locking_clause().iter().map(Node::from), push);
            each(x.with_clause().into_iter().map(Node::from), push);
            each(x.larg().into_iter().map(Node::from), push);
            each(x.rarg().into_iter().map(Node::from), push);
        }
        Node::SetOperationStmt(x) => {
            one(x.larg(), push);
            one(x.rarg(), push);
            each(x.col_types().into_iter(), push);
            each(x.group_clauses().iter().map(Node::from), push);
        }
        Node::ReturnStmt(x) => one(x.returnval(), push),
        Node::PLAssignStmt(x) => {
            each(x.indirection().into_iter(), push);
            each(x.val().into_iter().map(Node::from), push);
        }
        Node::CreateSchemaStmt(x) => {
            each(x.authrole().into_iter().map(Node::from), push);
            each(x.schema_elts().into_iter(), push);
        }
        Node::AlterTableStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            each(x.cmds().into_iter(), push);
        }
        Node::AlterTableCmd(x) => {
            each(x.newowner().into_iter().map(Node::from), push);
            one(x.def(), push);
        }
        Node::AlterCollationStmt(x) => each(x.collname().into_iter(), push),
        Node::AlterDomainStmt(x) => {
            each(x.type_name().into_iter(), push);
            one(x.def(), push);
        }
        Node::GrantStmt(x) => {
            each(x.privileges().iter().map(Node::from), push);
            each(x.grantees().iter().map(Node::from), push);
            each(x.grantor().into_iter().map(Node::from), push);
        }
        Node::ObjectWithArgs(x) => {
            each(x.objname().into_iter(), push);
            each(x.objargs().into_iter(), push);
            each(x.objfuncargs().iter().map(Node::from), push);
        }
        Node::AccessPriv(x) => each(x.cols().iter().map(Node::from), push),
        Node::GrantRoleStmt(x) => {
            each(x.granted_roles().into_iter(), push);
            each(x.grantee_roles().into_iter(), push);
            each(x.opt().into_iter(), push);
            each(x.grantor().into_iter().map(Node::from), push);
        }
        Node::AlterDefaultPrivilegesStmt(x) => {
            each(x.options().iter().map(Node::from), push);
            each(x.action().into_iter().map(Node::from), push);
        }
        Node::CopyStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            one(x.query(), push);
            each(x.attlist().into_iter(), push);
            each(x.options().iter().map(Node::from), push);
            one(x.where_clause(), push);
        }
        Node::VariableSetStmt(x) => each(x.args().into_iter(), push),
        Node::CreateStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            each(x.table_elts().into_iter(), push);
            each(x.inh_relations().into_iter(), push);
            each(x.partbound().into_iter().map(Node::from), push);
            each(x.partspec().into_iter().map(Node::from), push);
            each(x.of_typename().into_iter().map(Node::from), push);
            each(x.constraints().iter().map(Node::from), push);
            each(x.nnconstraints().into_iter(), push);
            each(x.options().into_iter(), push);
        }
        Node::Constraint(x) => {
            one(x.raw_expr(), push);
            each(x.keys().into_iter(), push);
            each(x.including().into_iter(), push);
            each(x.exclusions().into_iter(), push);
            each(x.options().into_iter(), push);
            one(x.where_clause(), push);
            each(x.pktable().into_iter().map(Node::from), push);
            each(x.fk_attrs().into_iter(), push);
            each(x.pk_attrs().into_iter(), push);
            each(x.fk_del_set_cols().into_iter(), push);
            each(x.old_conpfeqop().into_iter(), push);
        }
        Node::CreateTableSpaceStmt(x) => {
            each(x.owner().into_iter().map(Node::from), push);
            each(x.options().into_iter(), push);
        }
        Node::AlterTableSpaceOptionsStmt(x) => each(x.options().into_iter(), push),
        Node::AlterTableMoveAllStmt(x) => each(x.roles().into_iter(), push),
        Node::CreateExtensionStmt(x) => each(x.options().iter().map(Node::from), push),
        Node::AlterExtensionStmt(x) => each(x.options().iter().map(Node::from), push),
        Node::AlterExtensionContentsStmt(x) => one(x.object(), push),
        Node::CreateFdwStmt(x) => {
            each(x.func_options().into_iter(), push);
            each(x.options().into_iter(), push);
        }
        Node::AlterFdwStmt(x) => {
            each(x.func_options().into_iter(), push);
            each(x.options().into_iter(), push);
        }
        Node::CreateForeignServerStmt(x) => each(x.options().into_iter(), push),
        Node::AlterForeignServerStmt(x) => each(x.options().into_iter(), push),
        Node::CreateUserMappingStmt(x) => {
            each(x.user().into_iter().map(Node::from), push);
            each(x.options().into_iter(), push);
        }
        Node::AlterUserMappingStmt(x) => {
            each(x.user().into_iter().map(Node::from), push);
            each(x.options().into_iter(), push);
        }
        Node::DropUserMappingStmt(x) => each(x.user().into_iter().map(Node::from), push),
        Node::ImportForeignSchemaStmt(x) => {
            each(x.table_list().iter().map(Node::from), push);
            each(x.options().into_iter(), push);
        }
        Node::CreatePolicyStmt(x) => {
            each(x.table().into_iter().map(Node::from), push);
            each(x.roles().into_iter(), push);
            one(x.qual(), push);
            one(x.with_check(), push);
        }
        Node::AlterPolicyStmt(x) => {
            each(x.table().into_iter().map(Node::from), push);
            each(x.roles().into_iter(), push);
            one(x.qual(), push);
            one(x.with_check(), push);
        }
        Node::CreateAmStmt(x) => each(x.handler_name().into_iter(), push),
        Node::CreateTrigStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            each(x.funcname().into_iter(), push);
            each(x.args().iter().map(Node::from), push);
            each(x.columns().into_iter(), push);
            one(x.when_clause(), push);
            each(x.transition_rels().into_iter(), push);
            each(x.constrrel().into_iter().map(Node::from), push);
        }
        Node::CreateEventTrigStmt(x) => {
            each(x.whenclause().iter().map(Node::from), push);
            each(x.funcname().into_iter(), push);
        }
        Node::CreatePLangStmt(x) => {
            each(x.plhandler().into_iter(), push);
            each(x.plinline().into_iter(), push);
            each(x.plvalidator().into_iter(), push);
        }
        Node::CreateRoleStmt(x) => each(x.options().iter().map(Node::from), push),
        Node::AlterRoleStmt(x) => {
            each(x.role().into_iter().map(Node::from), push);
            each(x.options().iter().map(Node::from), push);
        }
        Node::AlterRoleSetStmt(x) => {
            each(x.role().into_iter().map(Node::from), push);
            each(x.setstmt().into_iter().map(Node::from), push);
        }
        Node::DropRoleStmt(x) => each(x.roles().into_iter(), push),
        Node::CreateSeqStmt(x) => {
            each(x.sequence().into_iter().map(Node::from), push);
            each(x.options().into_iter(), push);
        }
        Node::AlterSeqStmt(x) => {
            each(x.sequence().into_iter().map(Node::from), push);
            each(x.options().into_iter(), push);
        }
        Node::DefineStmt(x) => {
            each(x.defnames().iter().map(Node::from), push);
            each(x.args().into_iter(), push);
            each(x.definition().iter().map(Node::from), push);
        }
        Node::CreateDomainStmt(x) => {
            each(x.domainname().iter().map(Node::from), push);
            each(x.type_name().into_iter().map(Node::from), push);
            each(x.coll_clause().into_iter().map(Node::from), push);
            each(x.constraints().iter().map(Node::from), push);
        }
        Node::CreateOpClassStmt(x) => {
            each(x.opclassname().iter().map(Node::from), push);
            each(x.opfamilyname().into_iter(), push);
            each(x.datatype().into_iter().map(Node::from), push);
            each(x.items().iter().map(Node::from), push);
        }
        Node::CreateOpClassItem(x) => {
            each(x.name().into_iter().map(Node::from), push);
            each(x.order_family().into_iter(), push);
            each(x.class_args().into_iter(), push);
            each(x.storedtype().into_iter().map(Node::from), push);
        }
        Node::CreateOpFamilyStmt(x) => each(x.opfamilyname().iter().map(Node::from), push),
        Node::AlterOpFamilyStmt(x) => {
            each(x.opfamilyname().iter().map(Node::from), push);
            each(x.items().iter().map(Node::from), push);
        }
        Node::DropStmt(x) => each(x.objects().into_iter(), push),
        Node::TruncateStmt(x) => each(x.relations().into_iter(), push),
        Node::CommentStmt(x) => one(x.object(), push),
        Node::SecLabelStmt(x) => one(x.object(), push),
        Node::DeclareCursorStmt(x) => one(x.query(), push),
        Node::IndexStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            each(x.index_params().iter().map(Node::from), push);
            each(x.index_including_params().into_iter(), push);
            each(x.options().iter().map(Node::from), push);
            one(x.where_clause(), push);
            each(x.exclude_op_names().into_iter(), push);
        }
        Node::CreateStatsStmt(x) => {
            each(x.defnames().iter().map(Node::from), push);
            each(x.stat_types().iter().map(Node::from), push);
            each(x.exprs().into_iter(), push);
        }
        Node::StatsElem(x) => one(x.expr(), push),
        Node::AlterStatsStmt(x) => {
            each(x.defnames().iter().map(Node::from), push);
            one(x.stxstattarget(), push);
        }
        Node::CreateFunctionStmt(x) => {
            each(x.funcname().into_iter(), push);
            each(x.parameters().iter().map(Node::from), push);
            each(x.return_type().into_iter().map(Node::from), push);
            each(x.options().iter().map(Node::from), push);
            one(x.sql_body(), push);
        }
        Node::FunctionParameter(x) => {
            each(x.arg_type().into_iter().map(Node::from), push);
            one(x.defexpr(), push);
        }
        Node::AlterFunctionStmt(x) => {
            each(x.func().into_iter().map(Node::from), push);
            each(x.actions().iter().map(Node::from), push);
        }
        Node::DoStmt(x) => each(x.args().iter().map(Node::from), push),
        Node::CallStmt(x) => {
            each(x.funccall().into_iter().map(Node::from), push);
            each(x.funcexpr().into_iter().map(Node::from), push);
            each(x.outargs().into_iter(), push);
        }
        Node::RenameStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            one(x.object(), push);
        }
        Node::AlterObjectDependsStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            one(x.object(), push);
            each(x.extname().into_iter().map(Node::from), push);
        }
        Node::AlterObjectSchemaStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            one(x.object(), push);
        }
        Node::AlterOwnerStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            one(x.object(), push);
            each(x.newowner().into_iter().map(Node::from), push);
        }
        Node::AlterOperatorStmt(x) => {
            each(x.opername().into_iter().map(Node::from), push);
            each(x.options().iter().map(Node::from), push);
        }
        Node::AlterTypeStmt(x) => {
            each(x.type_name().into_iter(), push);
            each(x.options().iter().map(Node::from), push);
        }
        Node::RuleStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            one(x.where_clause(), push);
            each(x.actions().into_iter(), push);
        }
        Node::TransactionStmt(x) => each(x.options().into_iter(), push),
        Node::CompositeTypeStmt(x) => {
            each(x.typevar().into_iter().map(Node::from), push);
            each(x.coldeflist().iter().map(Node::from), push);
        }
        Node::CreateEnumStmt(x) => {
            each(x.type_name().iter().map(Node::from), push);
            each(x.vals().iter().map(Node::from), push);
        }
        Node::CreateRangeStmt(x) => {
            each(x.type_name().iter().map(Node::from), push);
            each(x.params().iter().map(Node::from), push);
        }
        Node::AlterEnumStmt(x) => each(x.type_name().iter().map(Node::from), push),
        Node::ViewStmt(x) => {
            each(x.view().into_iter().map(Node::from), push);
            each(x.aliases().into_iter(), push);
            one(x.query(), push);
            each(x.options().into_iter(), push);
        }
        Node::CreatedbStmt(x) => each(x.options().iter().map(Node::from), push),
        Node::AlterDatabaseStmt(x) => each(x.options().iter().map(Node::from), push),
        Node::AlterDatabaseSetStmt(x) => each(x.setstmt().into_iter().map(Node::from), push),
        Node::DropdbStmt(x) => each(x.options().into_iter(), push),
        Node::AlterSystemStmt(x) => each(x.setstmt().into_iter().map(Node::from), push),
        Node::ClusterStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            each(x.params().iter().map(Node::from), push);
        }
        Node::VacuumStmt(x) => {
            each(x.options().iter().map(Node::from), push);
            each(x.rels().iter().map(Node::from), push);
        }
        Node::VacuumRelation(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            each(x.va_cols().into_iter(), push);
        }
        Node::ExplainStmt(x) => {
            one(x.query(), push);
            each(x.options().iter().map(Node::from), push);
        }
        Node::CreateTableAsStmt(x) => {
            one(x.query(), push);
            each(x.into().into_iter().map(Node::from), push);
        }
        Node::RefreshMatViewStmt(x) => each(x.relation().into_iter().map(Node::from), push),
        Node::LockStmt(x) => each(x.relations().into_iter(), push),
        Node::ConstraintsSetStmt(x) => each(x.constraints().into_iter(), push),
        Node::ReindexStmt(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            each(x.params().iter().map(Node::from), push);
        }
        Node::CreateConversionStmt(x) => {
            each(x.conversion_name().into_iter(), push);
            each(x.func_name().into_iter(), push);
        }
        Node::CreateCastStmt(x) => {
            each(x.sourcetype().into_iter().map(Node::from), push);
            each(x.targettype().into_iter().map(Node::from), push);
            each(x.func().into_iter().map(Node::from), push);
        }
        Node::CreateTransformStmt(x) => {
            each(x.type_name().into_iter().map(Node::from), push);
            each(x.fromsql().into_iter().map(Node::from), push);
            each(x.tosql().into_iter().map(Node::from), push);
        }
        Node::PrepareStmt(x) => {
            each(x.argtypes().iter().map(Node::from), push);
            one(x.query(), push);
        }
        Node::ExecuteStmt(x) => each(x.params().into_iter(), push),
        Node::DropOwnedStmt(x) => each(x.roles().into_iter(), push),
        Node::ReassignOwnedStmt(x) => {
            each(x.roles().into_iter(), push);
            each(x.newrole().into_iter().map(Node::from), push);
        }
        Node::AlterTSDictionaryStmt(x) => {
            each(x.dictname().iter().map(Node::from), push);
            each(x.options().iter().map(Node::from), push);
        }
        Node::AlterTSConfigurationStmt(x) => {
            each(x.cfgname().iter().map(Node::from), push);
            each(x.tokentype().into_iter(), push);
            each(x.dicts().into_iter(), push);
        }
        Node::PublicationTable(x) => {
            each(x.relation().into_iter().map(Node::from), push);
            one(x.where_clause(), push);
            each(x.columns().into_iter(), push);
        }
        Node::PublicationObjSpec(x) => each(x.pubtable().into_iter().map(Node::from), push),
        Node::CreatePublicationStmt(x) => {
            each(x.options().iter().map(Node::from), push);
            each(x.pubobjects().into_iter(), push);
        }
        Node::AlterPublicationStmt(x) => {
            each(x.options().iter().map(Node::from), push);
            each(x.pubobjects().into_iter(), push);
        }
        Node::CreateSubscriptionStmt(x) => {
            each(x.publication().into_iter(), push);
            each(x.options().iter().map(Node::from), push);
        }
        Node::AlterSubscriptionStmt(x) => {
            each(x.publication().into_iter(), push);
            each(x.options().iter().map(Node::from), push);
        }
        Node::None
        | Node::Bitmapset(_)
        | Node::Param(_)
        | Node::MergeSupportFunc(_)
        | Node::CaseTestExpr(_)
        | Node::SQLValueFunction(_)
        | Node::JsonFormat(_)
        | Node::CoerceToDomainValue(_)
        | Node::SetToDefault(_)
        | Node::CurrentOfExpr(_)
        | Node::NextValueExpr(_)
        | Node::RangeTblRef(_)
        | Node::Integer(_)
        | Node::Float(_)
        | Node::Boolean(_)
        | Node::String(_)
        | Node::BitString(_)
        | Node::ParamRef(_)
        | Node::A_Const(_)
        | Node::RoleSpec(_)
        | Node::A_Star(_)
        | Node::SortGroupClause(_)
        | Node::RowMarkClause(_)
        | Node::ReturningOption(_)
        | Node::TriggerTransition(_)
        | Node::ATAlterConstraint(_)
        | Node::ReplicaIdentityStmt(_)
        | Node::VariableShowStmt(_)
        | Node::DropTableSpaceStmt(_)
        | Node::AlterEventTrigStmt(_)
        | Node::ClosePortalStmt(_)
        | Node::FetchStmt(_)
        | Node::InlineCodeBlock(_)
        | Node::CallContext(_)
        | Node::NotifyStmt(_)
        | Node::ListenStmt(_)
        | Node::UnlistenStmt(_)
        | Node::LoadStmt(_)
        | Node::AlterDatabaseRefreshCollStmt(_)
        | Node::CheckPointStmt(_)
        | Node::DiscardStmt(_)
        | Node::DeallocateStmt(_)
        | Node::DropSubscriptionStmt(_) => {}
    }
    Ok(())
}

fn one<'a>(node: Node<'a>, push: &mut impl FnMut(Node<'a>)) {
    if !matches!(node, Node::None) {
        push(node);
    }
}

fn each<'a>(nodes: impl Iterator<Item = Node<'a>>, push: &mut impl FnMut(Node<'a>)) {
    for node in nodes {
        one(node, push);
    }
}

/// Whether a node is a statement, or a part that is called one.
pub(super) fn is_statement(node: Node<'_>) -> bool {
    matches!(
        node,
        Node::RawStmt(_)
            | Node::InsertStmt(_)
            | Node::DeleteStmt(_)
            | Node::UpdateStmt(_)
            | Node::MergeStmt(_)
            | Node::SelectStmt(_)
            | Node::SetOperationStmt(_)
            | Node::ReturnStmt(_)
            | Node::PLAssignStmt(_)
            | Node::CreateSchemaStmt(_)
            | Node::AlterTableStmt(_)
            | Node::ReplicaIdentityStmt(_)
            | Node::AlterCollationStmt(_)
            | Node::AlterDomainStmt(_)
            | Node::GrantStmt(_)
            | Node::GrantRoleStmt(_)
            | Node::AlterDefaultPrivilegesStmt(_)
            | Node::CopyStmt(_)
            | Node::VariableSetStmt(_)
            | Node::VariableShowStmt(_)
            | Node::CreateStmt(_)
            | Node::CreateTableSpaceStmt(_)
            | Node::DropTableSpaceStmt(_)
            | Node::AlterTableSpaceOptionsStmt(_)
            | Node::AlterTableMoveAllStmt(_)
            | Node::CreateExtensionStmt(_)
            | Node::AlterExtensionStmt(_)
            | Node::AlterExtensionContentsStmt(_)
            | Node::CreateFdwStmt(_)
            | Node::AlterFdwStmt(_)
            | Node::CreateForeignServerStmt(_)
            | Node::AlterForeignServerStmt(_)
            | Node::CreateUserMappingStmt(_)
            | Node::AlterUserMappingStmt(_)
            | Node::DropUserMappingStmt(_)
            | Node::ImportForeignSchemaStmt(_)
            | Node::CreatePolicyStmt(_)
            | Node::AlterPolicyStmt(_)
            | Node::CreateAmStmt(_)
            | Node::CreateTrigStmt(_)
            | Node::CreateEventTrigStmt(_)
            | Node::AlterEventTrigStmt(_)
            | Node::CreatePLangStmt(_)
            | Node::CreateRoleStmt(_)
            | Node::AlterRoleStmt(_)
            | Node::AlterRoleSetStmt(_)
            | Node::DropRoleStmt(_)
            | Node::CreateSeqStmt(_)
            | Node::AlterSeqStmt(_)
            | Node::DefineStmt(_)
            | Node::CreateDomainStmt(_)
            | Node::CreateOpClassStmt(_)
            | Node::CreateOpFamilyStmt(_)
            | Node::AlterOpFamilyStmt(_)
            | Node::DropStmt(_)
            | Node::TruncateStmt(_)
            | Node::CommentStmt(_)
            | Node::SecLabelStmt(_)
            | Node::DeclareCursorStmt(_)
            | Node::ClosePortalStmt(_)
            | Node::FetchStmt(_)
            | Node::IndexStmt(_)
            | Node::CreateStatsStmt(_)
            | Node::AlterStatsStmt(_)
            | Node::CreateFunctionStmt(_)
            | Node::AlterFunctionStmt(_)
            | Node::DoStmt(_)
            | Node::CallStmt(_)
            | Node::RenameStmt(_)
            | Node::AlterObjectDependsStmt(_)
            | Node::AlterObjectSchemaStmt(_)
            | Node::AlterOwnerStmt(_)
            | Node::AlterOperatorStmt(_)
            | Node::AlterTypeStmt(_)
            | Node::RuleStmt(_)
            | Node::NotifyStmt(_)
            | Node::ListenStmt(_)
            | Node::UnlistenStmt(_)
            | Node::TransactionStmt(_)
            | Node::CompositeTypeStmt(_)
            | Node::CreateEnumStmt(_)
            | Node::CreateRangeStmt(_)
            | Node::AlterEnumStmt(_)
            | Node::ViewStmt(_)
            | Node::LoadStmt(_)
            | Node::CreatedbStmt(_)
            | Node::AlterDatabaseStmt(_)
            | Node::AlterDatabaseRefreshCollStmt(_)
            | Node::AlterDatabaseSetStmt(_)
            | Node::DropdbStmt(_)
            | Node::AlterSystemStmt(_)
            | Node::ClusterStmt(_)
            | Node::VacuumStmt(_)
            | Node::ExplainStmt(_)
            | Node::CreateTableAsStmt(_)
            | Node::RefreshMatViewStmt(_)
            | Node::CheckPointStmt(_)
            | Node::DiscardStmt(_)
            | Node::LockStmt(_)
            | Node::ConstraintsSetStmt(_)
            | Node::ReindexStmt(_)
            | Node::CreateConversionStmt(_)
            | Node::CreateCastStmt(_)
            | Node::CreateTransformStmt(_)
            | Node::PrepareStmt(_)
            | Node::ExecuteStmt(_)
            | Node::DeallocateStmt(_)
            | Node::DropOwnedStmt(_)
            | Node::ReassignOwnedStmt(_)
            | Node::AlterTSDictionaryStmt(_)
            | Node::AlterTSConfigurationStmt(_)
            | Node::CreatePublicationStmt(_)
            | Node::AlterPublicationStmt(_)
            | Node::CreateSubscriptionStmt(_)
            | Node::AlterSubscriptionStmt(_)
            | Node::DropSubscriptionStmt(_)
    )
}
