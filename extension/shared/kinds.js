// The kinds of hype as `hypecheck rules list` has them; titles stand in _locales as kind_ID.

export const CATEGORIES = ["guaranteed_cure", "pressure_sales", "missing_data"];

// Kind, category, severity.
export const KINDS = [
  ["guaranteed_outcome", "guaranteed_cure", "high"],
  ["cure_claim", "guaranteed_cure", "high"],
  ["permanent_or_instant", "guaranteed_cure", "high"],
  ["universal_efficacy", "guaranteed_cure", "high"],
  ["risk_free", "guaranteed_cure", "high"],
  ["miracle", "guaranteed_cure", "high"],
  ["urgency", "pressure_sales", "medium"],
  ["scarcity", "pressure_sales", "medium"],
  ["inducement", "pressure_sales", "medium"],
  ["fear_appeal", "pressure_sales", "high"],
  ["discourages_care", "pressure_sales", "high"],
  ["bare_statistic", "missing_data", "medium"],
  ["vague_evidence", "missing_data", "medium"],
  ["testimonial", "missing_data", "medium"],
  ["before_after", "missing_data", "medium"],
  ["superiority", "missing_data", "medium"],
  ["volume_as_proof", "missing_data", "medium"],
  ["regulatory_halo", "missing_data", "medium"],
  ["bare_efficacy", "missing_data", "medium"],
];
