// Package v2 declares of Grafana's dashboard schema v2 what dashboard-linter v0.2.0 compiles against, and nothing more.
//
// The boards here are of the classic schema, so none of it ever runs; and Grafana's own module brings 200 others along.
package v2

// DashboardVariableRefresh says when a variable is asked again.
type DashboardVariableRefresh string

// The values that the linter tells apart.
const (
	DashboardVariableRefreshOnDashboardLoad    DashboardVariableRefresh = "onDashboardLoad"
	DashboardVariableRefreshOnTimeRangeChanged DashboardVariableRefresh = "onTimeRangeChanged"
)

type datasource struct {
	Name *string `json:"name"`
}

// DashboardDataQueryKind is a query of any kind of data source.
type DashboardDataQueryKind struct {
	Group      string         `json:"group"`
	Datasource *datasource    `json:"datasource"`
	Spec       map[string]any `json:"spec"`
}

// DashboardPanelQueryKind is a query in a panel.
type DashboardPanelQueryKind struct {
	Spec struct {
		RefId  string                 `json:"refId"`
		Hidden bool                   `json:"hidden"`
		Query  DashboardDataQueryKind `json:"query"`
	} `json:"spec"`
}

// DashboardPanelSpec is a panel.
type DashboardPanelSpec struct {
	Id          float64 `json:"id"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Data        struct {
		Spec struct {
			Queries []DashboardPanelQueryKind `json:"queries"`
		} `json:"spec"`
	} `json:"data"`
	VizConfig struct {
		Group string `json:"group"`
		Spec  struct {
			FieldConfig map[string]any `json:"fieldConfig"`
			Options     map[string]any `json:"options"`
		} `json:"spec"`
	} `json:"vizConfig"`
}

// DashboardElement is a panel of either kind.
type DashboardElement struct {
	PanelKind *struct {
		Spec DashboardPanelSpec `json:"spec"`
	}
}

type variable struct {
	Spec struct {
		Name     string                   `json:"name"`
		Label    *string                  `json:"label"`
		Multi    bool                     `json:"multi"`
		AllValue *string                  `json:"allValue"`
		Refresh  DashboardVariableRefresh `json:"refresh"`
		PluginId string                   `json:"pluginId"`
		Query    string                   `json:"query"`
	} `json:"spec"`
}

// DashboardVariableKind is a variable of one of these kinds.
type DashboardVariableKind struct {
	QueryVariableKind *struct {
		Spec struct {
			Name     string                   `json:"name"`
			Label    *string                  `json:"label"`
			Multi    bool                     `json:"multi"`
			AllValue *string                  `json:"allValue"`
			Refresh  DashboardVariableRefresh `json:"refresh"`
			Query    DashboardDataQueryKind   `json:"query"`
		} `json:"spec"`
	}
	DatasourceVariableKind, CustomVariableKind, IntervalVariableKind, ConstantVariableKind *variable
	TextVariableKind, AdhocVariableKind, GroupByVariableKind, SwitchVariableKind           *variable
}

// DashboardAnnotationQueryKind is an annotation.
type DashboardAnnotationQueryKind struct {
	Spec struct {
		Name  string                 `json:"name"`
		Query DashboardDataQueryKind `json:"query"`
	} `json:"spec"`
}

// DashboardSpec is a whole dashboard.
type DashboardSpec struct {
	Title       string                         `json:"title"`
	Editable    *bool                          `json:"editable"`
	Elements    map[string]DashboardElement    `json:"elements"`
	Variables   []DashboardVariableKind        `json:"variables"`
	Annotations []DashboardAnnotationQueryKind `json:"annotations"`
}
