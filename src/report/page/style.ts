import { colors } from './palette.ts';

/** The page's only style sheet; the content security policy names its hash. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--panel:#f6f7f9;--text:#15181c;--dim:#525a64;--line:#d5dae0;--edge:#00000066;--texture:#00000073;--link:#0a58b0;--bad:#b3151b;--badbg:#fdecec;--good:#0b6b3a;--warnbg:#fff4d6;--grid:#dfe3e8;${colors('light')}}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--panel:#1d2127;--text:#e8ebef;--dim:#a4adb8;--line:#363d46;--edge:#ffffff80;--texture:#0009;--link:#7db8ff;--bad:#ff8a8a;--badbg:#3a1d20;--good:#6fd39b;--warnbg:#3a3114;--grid:#333a43;${colors('dark')}}}
*{box-sizing:border-box}
html{scroll-padding-top:.5rem}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:1200px;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.4rem}
footer{padding-bottom:3rem;color:var(--dim);border-top:1px solid var(--line);margin-top:3rem}
h1{font-size:1.5rem;margin:0;line-height:1.25}
h2{font-size:1.2rem;margin:2.4rem 0 .6rem;line-height:1.3}
h3{font-size:1rem;margin:1.6rem 0 .4rem}
h4{font-size:.9rem;margin:0 0 .2rem;font-weight:600}
p{margin:.4rem 0}
a{color:var(--link)}
a:focus-visible,summary:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:3px}
.skip{position:absolute;left:-999px;top:0;background:var(--bg);padding:.5rem 1rem;z-index:2}
.skip:focus{left:0}
.dim{color:var(--dim)}
.bad{color:var(--bad);font-weight:600}
.good{color:var(--good);font-weight:600}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;margin:.7rem 0 0}
.findings{list-style:none;margin:1rem 0 0;padding:0;display:grid;gap:.5rem}
.findings li{border-left:5px solid var(--fill-hop);background:var(--panel);padding:.4rem .9rem;border-radius:0 6px 6px 0}
.findings li.is-bad{border-color:var(--bad);background:var(--badbg)}
.findings li.is-warning{border-color:var(--fill-read-wait);background:var(--warnbg)}
.findings strong{font-weight:650}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.6rem;margin:1rem 0 0}
.tiles div{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.5rem .8rem}
.tiles dt{color:var(--dim);font-size:.82rem}
.tiles dd{margin:0;font-size:1.25rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
.tiles dd small{display:block;font-size:.8rem;font-weight:400;color:var(--dim)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(310px,100%),1fr));gap:.9rem;align-items:start}
.wide{grid-template-columns:repeat(auto-fit,minmax(min(500px,100%),1fr))}
figure{margin:0;background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.6rem .7rem .4rem;min-width:0}
figcaption{font-size:.9rem;font-weight:600;margin-bottom:.15rem}
figcaption small{display:block;font-weight:400;color:var(--dim)}
.plot{display:block;width:100%;height:auto;overflow:visible;color:var(--text)}
.plot text{white-space:pre;font-family:inherit}
.swatch{vertical-align:-2px;margin-right:.35rem;flex:none}
.defs{position:absolute}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.15rem .9rem;padding:0;margin:.35rem 0 .2rem;font-size:.84rem}
details{margin:.35rem 0}
summary{cursor:pointer;padding:.15rem 0}
figure details,.under{font-size:.86rem}
.scroll{overflow-x:auto;margin:.3rem 0}
table{overflow-wrap:break-word;border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums;width:100%}
caption{text-align:left;font-weight:600;padding:.2rem 0}
th,td{text-align:left;padding:.22rem .6rem .22rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}
tbody th{font-weight:400}
.n{text-align:right;white-space:nowrap;padding-right:1.1rem!important}
.fall{border:1px solid var(--line);border-radius:6px;margin:.6rem 0;background:var(--panel)}
.fall>summary{padding:.5rem .8rem;display:grid;grid-template-columns:auto 1fr auto auto;gap:.1rem .8rem;align-items:baseline;list-style:none}
.fall>summary::-webkit-details-marker{display:none}
.fall>summary::before{content:"▸";color:var(--dim)}
.fall[open]>summary::before{content:"▾"}
.fall>summary h3{margin:0;font-size:.95rem;min-width:0}
.fall>summary .dur{font-weight:600;font-variant-numeric:tabular-nums;white-space:nowrap}
.fall>summary .why{grid-column:2/-1;font-size:.84rem;color:var(--dim)}
.fall .inside{padding:0 .8rem .6rem}
.rows{table-layout:fixed;min-width:640px}
.rows th,.rows td{padding:.12rem .5rem .12rem 0;border-bottom:1px solid var(--line);vertical-align:middle}
.rows .c-name{width:34%}
.rows .c-dur{width:98px}
.rows .c-result{width:17%}
.bar{display:block;width:100%;height:16px}.stack{height:24px}
.cohorts th,.cohorts td:nth-child(2){white-space:nowrap;padding-right:1rem}.cohorts td:last-child{width:100%}.cohorts{min-width:520px}
.rows .service{font-weight:650}
.rows tbody th{font-weight:400}
.d1{padding-left:.9em!important}.d2{padding-left:1.8em!important}.d3{padding-left:2.7em!important}.d4{padding-left:3.6em!important}.d5{padding-left:4.5em!important}.d6{padding-left:5.4em!important}.d7{padding-left:6.3em!important}.d8{padding-left:7.2em!important}.d9{padding-left:8.1em!important}.d10{padding-left:9em!important}.d11{padding-left:9.9em!important}.d12{padding-left:10.8em!important}
.notes{margin:.3rem 0;padding-left:1.1rem;font-size:.86rem}
.attributes{font-size:.82rem}
.attributes td{font-family:ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
@media (max-width:600px){header,main,footer{padding-left:.8rem;padding-right:.8rem}.fall>summary{grid-template-columns:auto 1fr}.fall>summary .dur,.fall>summary .res{grid-column:2}.rows{min-width:0;display:block}.rows thead{position:absolute;left:-999rem}.rows tbody,.rows caption{display:block}.rows tr{display:grid;grid-template-columns:1fr auto auto;border-bottom:1px solid var(--line)}.rows th,.rows td{border:0}.rows td:nth-child(4),.rows td:nth-child(5){grid-column:1/-1}.rows td:empty{display:none}}
@media print{.skip,nav{display:none}figure,.fall{break-inside:avoid}}
`.trim();
