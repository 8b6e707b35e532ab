"""Building blocks of the DAGs: jobs of the stage services as Airflow tasks, and their presentation.

It lies in the plugins folder because the triggerer imports from there and never from DAG files."""
