import { project } from "../../vitest.project.ts";

export default project("plugin-report-html");
