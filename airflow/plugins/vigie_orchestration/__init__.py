"""What the DAGs are made of: jobs of the stage services as Airflow tasks, and how runs are shown to people.

It lives in the plugins folder because the triggerer imports from there and never from DAG files."""
